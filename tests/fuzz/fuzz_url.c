/* Addresses: what is accepted has a canonical spelling that stays what it is. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "remote/url.h"

static void check_parts(const struct url *url)
{
	assert(strlen(url->canonical) < URL_MAX);
	assert(url->canonical[0] != '-' && url->host[0] != '-' && url->path[0] != '-');
	assert(url->port <= 65535);
	for (const char *at = url->canonical; *at != '\0'; at++)
		assert((unsigned char)*at >= 0x20 && *at != 0x7f);
	if (url->scheme == URL_LOCAL)
		assert(url->host[0] == '\0' && url->path[0] == '/');
	else
		assert(url->host[0] != '\0' && strchr(url->canonical, ' ') == NULL);
	if (url->scheme == URL_HTTP || url->scheme == URL_HTTPS)
		assert(strncmp(url->canonical, "http", 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[URL_MAX + 8];
	struct err err = ERR_INIT;
	struct url url, again;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	int rc = url_parse(&url, text, "github.com", "/nonexistent", &err);
	if (rc != 0) {
		assert(rc < 0 && err.code == rc && err.msg[0] != '\0');
		return 0;
	}
	check_parts(&url);
	rc = url_parse(&again, url.canonical, "github.com", "/nonexistent", &err);
	assert(rc == 0 && again.scheme == url.scheme);
	assert(strcmp(again.canonical, url.canonical) == 0);
	assert(strcmp(again.host, url.host) == 0 && strcmp(again.path, url.path) == 0);
	assert(again.port == url.port);
	return 0;
}
