/*
 * Addresses of repositories, from what a user types to one spelling.
 *
 * The forms are told apart in this order; the first that fits decides:
 *
 *   word://rest        a URL; the scheme must be in the table below
 *   word::rest         one of git's remote helpers: unsupported
 *   reserved:rest      a scheme without "//", or a host that is not spoken to yet
 *   [user@]host:path   scp-like, if no '/' stands before the first ':'
 *   owner/name         at the default host, unless a repository lies in that folder
 *   anything else      a path
 *
 * Canonical spellings:
 *
 *   http://host[:port]/path     credentials, default port, trailing '/' gone
 *   ssh://[user@]host[:port]/path    also for scp-like ones with '/' or '~'
 *   [user@]host:path            scp-like, relative: hosts of many users give the
 *                               path a meaning that "~/path" would not have
 *   git://host[:port]/path
 *   /path                       local, symlinks resolved, ".git" included
 *
 * Words of an error never quote what may hold a password.
 */
#include "remote/url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "git/hex.h"
#include "remote/url_local.h"

#define SUPPORTED "supported are http, https, ssh, git and file"
#define PORT_MAX 65535U

static const struct scheme {
	const char *name;
	enum url_scheme scheme;
	unsigned port;
} schemes[] = {
	{ "http", URL_HTTP, 80 },  { "https", URL_HTTPS, 443 }, { "ssh", URL_SSH, 22 },
	{ "git", URL_GIT, 9418 },  { "file", URL_LOCAL, 0 },
};

static const struct scheme *scheme_of(enum url_scheme scheme)
{
	const struct scheme *found = NULL;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (schemes[i].scheme == scheme)
			found = &schemes[i];
	}
	assert(found != NULL);
	return found;
}

static const struct scheme *scheme_named(struct cursor name)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strlen(schemes[i].name) == name.left &&
		    strncasecmp(schemes[i].name, (const char *)name.ptr, name.left) == 0)
			return &schemes[i];
	}
	return NULL;
}

static bool is_alnum(uint8_t byte)
{
	return byte < 0x80 && isalnum(byte) != 0;
}

static bool is_control(uint8_t byte)
{
	return byte < 0x20 || byte == 0x7f;
}

/* The bytes up to `stop`, which is taken off, too; all that is left where it
 * does not come. */
static struct cursor take_until(struct cursor *rest, uint8_t stop)
{
	struct cursor head = *rest;
	const uint8_t *ptr;
	size_t len;

	if (cursor_until(rest, stop, &ptr, &len))
		return cursor_of(ptr, len);
	*rest = cursor_of(head.ptr + head.left, 0);
	return head;
}

static bool has_byte(struct cursor text, uint8_t byte)
{
	return text.left > 0 && memchr(text.ptr, byte, text.left) != NULL;
}

static void strip_slashes(struct cursor *path)
{
	while (path->left > 0 && path->ptr[path->left - 1] == '/')
		path->left--;
}

static int too_long(size_t size, struct err *err)
{
	return err_set(err, ERR_LIMIT, "a part of the address is longer than %zu bytes", size - 1);
}

static int copy_text(char *out, size_t size, struct cursor in, struct err *err)
{
	if (in.left >= size)
		return too_long(size, err);
	memcpy(out, in.ptr, in.left);
	out[in.left] = '\0';
	return 0;
}

/* Undoes percent-encoding. What comes out holds no control byte: a newline in
 * a user's name would forge lines of git's credential protocol. */
static int decode(char *out, size_t size, struct cursor in, struct err *err)
{
	size_t len = 0;
	uint8_t byte;

	while (cursor_u8(&in, &byte)) {
		uint8_t high, low;

		if (byte == '%') {
			if (!cursor_u8(&in, &high) || !cursor_u8(&in, &low) ||
			    hex_value(high) < 0 || hex_value(low) < 0)
				return err_set(err, -EINVAL,
					       "the address has '%%' without two digits after it");
			byte = (uint8_t)(hex_value(high) * 16 + hex_value(low));
		}
		if (is_control(byte))
			return err_set(err, -EINVAL, "the address has an encoded control byte");
		if (len + 1 >= size)
			return too_long(size, err);
		out[len++] = (char)byte;
	}
	out[len] = '\0';
	return 0;
}

/* Puts a name into lower case; bytes beyond ASCII are for whoever looks it up. */
static int spell_host(char *name, struct err *err)
{
	for (char *at = name; *at != '\0'; at++) {
		uint8_t byte = (uint8_t)*at;

		if (byte < 0x80 && !is_alnum(byte) && strchr(".-_", byte) == NULL)
			return err_set(err, -EINVAL, "the address has a byte in it that is in "
						     "no host's name");
		if (byte >= 'A' && byte <= 'Z')
			*at = (char)(byte - 'A' + 'a');
	}
	return 0;
}

static int spell_ipv6(char *name, size_t size, struct err *err)
{
	struct in6_addr addr;

	if (inet_pton(AF_INET6, name, &addr) != 1 ||
	    inet_ntop(AF_INET6, &addr, name, (socklen_t)size) == NULL)
		return err_set(err, -EINVAL, "what the brackets hold is no IPv6 address");
	return 0;
}

/* host[:port]; an IPv6 address stands in brackets. */
static int parse_host(struct url *url, struct cursor text, struct err *err)
{
	struct cursor name, port;
	bool six = cursor_literal(&text, "[");
	uint64_t number = 0;

	if (six && !has_byte(text, ']'))
		return err_set(err, -EINVAL, "the address has '[' without ']'");
	name = take_until(&text, six ? ']' : ':');
	if (six && text.left > 0 && !cursor_literal(&text, ":"))
		return err_set(err, -EINVAL, "the address has something between ']' and the port");
	port = text;

	if (name.left == 0)
		return err_set(err, -EINVAL, "the address has no host");
	if (name.ptr[0] == '-')
		return err_set(err, -EINVAL, "a host's name cannot start with '-'");
	int rc = copy_text(url->host, sizeof(url->host), name, err);
	if (rc < 0)
		return rc;
	rc = six ? spell_ipv6(url->host, sizeof(url->host), err) : spell_host(url->host, err);
	if (rc < 0)
		return rc;

	if (port.left == 0)
		return 0;
	if (!cursor_decimal(&port, PORT_MAX, &number) || port.left > 0 || number == 0)
		return err_set(err, -EINVAL, "the port after '%s' is no number from 1 to %u",
			       url->host, PORT_MAX);
	if (number != scheme_of(url->scheme)->port)
		url->port = (unsigned)number;
	return 0;
}

/* [user[:password]@]host[:port]; *user_out is the user as it was written. */
static int parse_authority(struct url *url, struct cursor text, struct cursor *user_out,
			   struct err *err)
{
	struct cursor host = text, user, password;

	/* A user's name or password may have an '@' in it, a host may not. */
	while (has_byte(host, '@'))
		(void)take_until(&host, '@');
	bool named = host.left < text.left;
	password = cursor_of(text.ptr, named ? text.left - host.left - 1 : 0);
	bool locked = has_byte(password, ':');
	user = take_until(&password, ':');

	if (url->scheme == URL_GIT && named)
		return err_set(err, -EINVAL, "a git:// address has no user");
	if (url->scheme == URL_SSH && named && user.left == 0)
		return err_set(err, -EINVAL, "the address has no user before its '@'");
	if (url->scheme == URL_SSH && locked)
		return err_set(err, -EINVAL, "an ssh address has no password in it");
	int rc = decode(url->user, sizeof(url->user), user, err);
	if (rc < 0)
		return rc;
	rc = decode(url->password, sizeof(url->password), password, err);
	if (rc < 0)
		return rc;
	/* It stands first in an argument of ssh. */
	if (url->scheme == URL_SSH && url->user[0] == '-')
		return err_set(err, -EINVAL, "a user's name cannot start with '-'");
	*user_out = user;
	return parse_host(url, host, err);
}

/* The address up to its path. `user`: as it was written, shown for ssh alone. */
static int spell_head(struct url *url, struct cursor user, bool scp, size_t *len_out,
		      struct err *err)
{
	bool six = strchr(url->host, ':') != NULL;
	bool named = url->scheme == URL_SSH && user.left > 0;
	char port[16] = "";
	int len;

	if (url->port != 0)
		snprintf(port, sizeof(port), ":%u", url->port);
	len = snprintf(url->canonical, sizeof(url->canonical), "%s%s%.*s%s%s%s%s%s",
		       scp ? "" : scheme_of(url->scheme)->name, scp ? "" : "://",
		       named ? (int)user.left : 0, (const char *)user.ptr, named ? "@" : "",
		       six ? "[" : "", url->host, six ? "]" : "", scp ? ":" : port);
	if (len < 0 || (size_t)len >= sizeof(url->canonical))
		return err_set(err, ERR_LIMIT, "the address is longer than %d bytes", URL_MAX - 1);
	*len_out = (size_t)len;
	return 0;
}

/* Puts `path` (encoded, "/..." or "") after the head. */
static int spell(struct url *url, struct cursor user, struct cursor path, struct err *err)
{
	size_t len = 0;
	int rc = spell_head(url, user, false, &len, err);

	if (rc < 0)
		return rc;
	return copy_text(url->canonical + len, sizeof(url->canonical) - len, path, err);
}

static bool has_dot_part(const char *path)
{
	struct cursor rest = cursor_of(path, strlen(path));

	while (rest.left > 0) {
		struct cursor part = take_until(&rest, '/');

		if ((part.left == 1 && memcmp(part.ptr, ".", 1) == 0) ||
		    (part.left == 2 && memcmp(part.ptr, "..", 2) == 0))
			return true;
	}
	return false;
}

/* `rest` is what follows "scheme://". */
static int parse_network(struct url *url, struct cursor rest, struct err *err)
{
	struct cursor path = rest, authority = take_until(&rest, '/'), user;
	bool http = url->scheme == URL_HTTP || url->scheme == URL_HTTPS;

	(void)cursor_skip(&path, authority.left);
	strip_slashes(&path);

	int rc = parse_authority(url, authority, &user, err);
	if (rc < 0)
		return rc;
	rc = decode(url->path, sizeof(url->path), path, err);
	if (rc < 0)
		return rc;
	if (!http && path.left == 0)
		return err_set(err, -EINVAL, "the address has no path after '%s'", url->host);
	if (http && (has_byte(path, '?') || has_byte(path, '#')))
		return err_set(err, -EINVAL, "a repository's address has no '?' or '#'");
	/* One repository, one spelling; and libcurl would take them out. */
	if (http && has_dot_part(url->path))
		return err_set(err, -EINVAL, "the address has a '.' or '..' part");
	rc = spell(url, user, path, err);
	if (rc < 0)
		return rc;
	if (http)
		return copy_text(url->path, sizeof(url->path), path, err);
	/* "/~user/x" asks for "~user/x", as git does. */
	if (url->path[1] == '~')
		memmove(url->path, url->path + 1, strlen(url->path));
	return 0;
}

/* Writes `path`, which is not encoded, as the path of an ssh:// URL. */
static int spell_encoded(struct url *url, struct cursor user, struct err *err)
{
	const char *path = url->path;
	size_t len = 0;
	int rc = spell_head(url, user, false, &len, err);

	if (rc < 0)
		return rc;
	if (path[0] == '~')
		url->canonical[len++] = '/';
	for (; *path != '\0'; path++) {
		if (len + 4 > sizeof(url->canonical))
			return err_set(err, ERR_LIMIT, "the address is longer than %d bytes",
				       URL_MAX - 1);
		url->canonical[len++] = *path;
		if (*path == '%') {
			url->canonical[len++] = '2';
			url->canonical[len++] = '5';
		}
	}
	url->canonical[len] = '\0';
	return 0;
}

static int parse_scp(struct url *url, struct cursor text, struct err *err)
{
	struct cursor path = text, head = take_until(&path, ':'), user = cursor_of(text.ptr, 0);
	size_t len = 0;

	if (has_byte(head, '[')) {
		path = text;
		(void)take_until(&path, ']');
		head = cursor_of(text.ptr, text.left - path.left);
		if (!cursor_literal(&path, ":"))
			return err_set(err, -EINVAL,
				       "the address has '[' without \"]:\" after it");
	}
	strip_slashes(&path);

	url->scheme = URL_SSH;
	int rc = parse_authority(url, head, &user, err);
	if (rc < 0)
		return rc;
	if (path.left == 0)
		return err_set(err, -EINVAL, "the address has no path after '%s'", url->host);
	if (path.ptr[0] == '-' || path.ptr[0] == ':')
		return err_set(err, -EINVAL, "a path at a host cannot start with '%c'",
			       path.ptr[0]);
	if (path.left > 1 && memcmp(path.ptr, "/~", 2) == 0)
		(void)cursor_skip(&path, 1);
	rc = copy_text(url->path, sizeof(url->path), path, err);
	if (rc < 0)
		return rc;
	if (url->path[0] == '/' || url->path[0] == '~')
		return spell_encoded(url, user, err);
	rc = spell_head(url, user, true, &len, err);
	if (rc < 0)
		return rc;
	return copy_text(url->canonical + len, sizeof(url->canonical) - len, path, err);
}

/* 1: a repository; 0: nothing is there; outputs in url. */
static int parse_local(struct url *url, const char *text, const char *cwd, bool repository_only,
		       struct err *err)
{
	char path[PATH_MAX], found[PATH_MAX];
	bool absolute = text[0] == '/';
	int len = snprintf(path, sizeof(path), "%s%s%s", absolute ? "" : cwd, absolute ? "" : "/",
			   text);

	if (len < 0 || (size_t)len >= sizeof(path))
		return err_set(err, -ENAMETOOLONG, "the path is too long");
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	int rc = url_find_local(found, path, repository_only, err);
	if (rc <= 0)
		return rc;
	for (const char *at = found; *at != '\0'; at++) {
		if (is_control((uint8_t)*at))
			return err_set(err, -EINVAL, "the folder that is meant has a control byte "
						     "in its path");
	}
	url->scheme = URL_LOCAL;
	rc = copy_text(url->path, sizeof(url->path), cursor_of(found, strlen(found)), err);
	if (rc < 0)
		return rc;
	memcpy(url->canonical, url->path, sizeof(url->canonical));
	return 1;
}

static int parse_file(struct url *url, struct cursor rest, struct err *err)
{
	char path[PATH_MAX];

	if (rest.left >= 9 && strncasecmp((const char *)rest.ptr, "localhost", 9) == 0)
		(void)cursor_skip(&rest, 9);
	if (rest.left == 0 || rest.ptr[0] != '/')
		return err_set(err, -EINVAL, "a file:// address needs an absolute path");
	int rc = decode(path, sizeof(path), rest, err);
	if (rc < 0)
		return rc;
	rc = parse_local(url, path, "/", false, err);
	if (rc == 0)
		return err_set(err, ERR_NOT_FOUND, "no repository at '%s'", path);
	return rc < 0 ? rc : 0;
}

/* Both parts of [A-Za-z0-9._-], none a "." or "..", none with '-' first. */
static bool is_owner_name(const char *text)
{
	struct cursor rest = cursor_of(text, strlen(text));
	unsigned parts = 0;

	if (has_dot_part(text) || rest.left == 0 || rest.ptr[rest.left - 1] == '/')
		return false;
	for (; rest.left > 0; parts++) {
		struct cursor part = take_until(&rest, '/');

		if (part.left == 0 || part.ptr[0] == '-')
			return false;
		for (size_t i = 0; i < part.left; i++) {
			if (!is_alnum(part.ptr[i]) && strchr("._-", part.ptr[i]) == NULL)
				return false;
		}
	}
	return parts == 2;
}

static int parse_path(struct url *url, const char *text, const char *default_host,
		      const char *cwd, struct err *err)
{
	bool hosted = is_owner_name(text);
	char address[URL_MAX];
	int rc = parse_local(url, text, cwd, hosted, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (!hosted)
		return err_set(err, ERR_NOT_FOUND,
			       "no repository at '%s', and it is neither owner/name nor an address",
			       text);
	rc = snprintf(address, sizeof(address), "%s/%s", default_host, text);
	if (rc < 0 || (size_t)rc >= sizeof(address))
		return err_set(err, ERR_LIMIT, "the address is longer than %d bytes", URL_MAX - 1);
	url->scheme = URL_HTTPS;
	return parse_network(url, cursor_of(address, (size_t)rc), err);
}

static int parse_with_scheme(struct url *url, struct cursor name, struct cursor rest,
			     struct err *err)
{
	const struct scheme *known = scheme_named(name);

	if (known == NULL)
		return err_set(err, -EINVAL, "'%.*s://' is not spoken; " SUPPORTED, (int)name.left,
			       (const char *)name.ptr);
	url->scheme = known->scheme;
	if (known->scheme == URL_LOCAL)
		return parse_file(url, rest, err);
	return parse_network(url, rest, err);
}

/* A word before ':' that is taken for a scheme, whatever follows. */
static int refuse_reserved(struct cursor name, struct err *err)
{
	if (name.left == 4 && strncasecmp((const char *)name.ptr, "mesa", 4) == 0)
		return err_set(err, -EINVAL, "Mesa repositories ('mesa:org/repo') are unsupported "
					     "so far; " SUPPORTED);
	if (scheme_named(name) != NULL)
		return err_set(err, -EINVAL, "'%.*s:' lacks its \"//\"", (int)name.left,
			       (const char *)name.ptr);
	return 0;
}

/* How many bytes of a scheme's letters stand first. */
static size_t scheme_len(struct cursor text)
{
	size_t len = 0;

	while (len < text.left && (is_alnum(text.ptr[len]) ||
				   (text.ptr[len] != '\0' && strchr("+-.", text.ptr[len]) != NULL)))
		len++;
	return len;
}

static int parse(struct url *url, const char *text, const char *default_host, const char *cwd,
		 struct err *err)
{
	struct cursor all = cursor_of(text, strlen(text));
	struct cursor rest = all, name = cursor_of(text, scheme_len(all));
	const char *colon = strchr(text, ':');
	int rc;

	if (all.left == 0)
		return err_set(err, -EINVAL, "the repository is an empty word");
	if (all.left >= URL_MAX)
		return err_set(err, ERR_LIMIT, "the address is longer than %d bytes", URL_MAX - 1);
	if (text[0] == '-')
		return err_set(err, -EINVAL, "a repository cannot start with '-'");
	for (size_t i = 0; i < all.left; i++) {
		if (is_control(all.ptr[i]))
			return err_set(err, -EINVAL, "the repository has a control byte in it");
	}
	if (colon == NULL || memchr(text, '/', (size_t)(colon - text)) != NULL)
		return parse_path(url, text, default_host, cwd, err);

	if (strchr(text, ' ') != NULL)
		return err_set(err, -EINVAL, "the address has a space in it");
	(void)cursor_skip(&rest, name.left);
	if (name.left > 0 && cursor_literal(&rest, "://"))
		return parse_with_scheme(url, name, rest, err);
	if (name.left > 0 && cursor_literal(&rest, "::"))
		return err_set(err, -EINVAL, "git's helper '%.*s::' is not used; " SUPPORTED,
			       (int)name.left, (const char *)name.ptr);
	if (cursor_literal(&rest, ":")) {
		rc = refuse_reserved(name, err);
		if (rc < 0)
			return rc;
	}
	return parse_scp(url, all, err);
}

int url_parse(struct url *out, const char *text, const char *default_host, const char *cwd,
	      struct err *err)
{
	struct url url = { .scheme = URL_LOCAL };

	assert(default_host != NULL && cwd != NULL && cwd[0] == '/');
	int rc = parse(&url, text, default_host, cwd, err);
	if (rc == 0)
		*out = url;
	url_wipe(&url);
	return rc;
}

void url_wipe(struct url *url)
{
	explicit_bzero(url->user, sizeof(url->user));
	explicit_bzero(url->password, sizeof(url->password));
}
