/* Settings; see config.h. Keys that this version does not know are left alone. */
#include "cli/config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/proc.h"
#include "cli/options.h"
#include "remote/remote.h"

#define GIT_TIMEOUT_MS 10000
#define OUTPUT_MAX ((size_t)1 << 20)

void config_init(struct config *config)
{
	*config = (struct config){
		.default_host = "github.com",
		.timeout_s = CONFIG_TIMEOUT_S,
		.connections = REMOTE_CONNECTIONS_MAX,
		.rules = { .local_only = CONFIG_LOCAL_ONLY, .file_max = CONFIG_FILE_MAX },
	};
}

static int bad_value(const char *key, const char *value, const char *wanted, struct err *err)
{
	return err_set(err, -EINVAL, "git config %s: '%s' is not %s", key, value, wanted);
}

static int take_number(const char *key, const char *value, unsigned max, unsigned *out,
		       struct err *err)
{
	if (options_number(value, 1, max, out) == 0)
		return 0;
	return err_set(err, -EINVAL, "git config %s: '%s' is not a number from 1 to %u", key,
		       value, max);
}

static int take_bool(const char *key, const char *value, bool *out, struct err *err)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0", "" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(value, yes[i]) == 0) {
			*out = true;
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		if (strcasecmp(value, no[i]) == 0) {
			*out = false;
			return 0;
		}
	}
	return bad_value(key, value, "true or false", err);
}

/* An absolute path, or one that begins with "~/". */
static int take_path(const char *key, const char *value, char out[PATH_MAX], struct err *err)
{
	const char *home = "";
	char path[PATH_MAX];
	int len;

	if (strncmp(value, "~/", 2) == 0) {
		home = getenv("HOME");
		if (home == NULL || home[0] != '/')
			return bad_value(key, value, "usable: HOME is not set", err);
		value++;
	}
	if (home[0] == '\0' && value[0] != '/')
		return bad_value(key, value, "an absolute path", err);
	len = snprintf(path, sizeof(path), "%s%s", home, value);
	if (len < 0 || (size_t)len >= sizeof(path))
		return bad_value(key, value, "short enough for a path", err);
	memcpy(out, path, (size_t)len + 1);
	return 0;
}

static int take_host(const char *key, const char *value, char *out, size_t size, struct err *err)
{
	size_t len = strlen(value);

	if (len == 0 || value[0] == '-' || len >= size ||
	    strpbrk(value, "/@ ") != NULL)
		return bad_value(key, value, "the name of a host", err);
	memcpy(out, value, len + 1);
	return 0;
}

/* As git has it: a number, and k, m or g for powers of 1024. */
static int take_size(const char *key, const char *value, uint64_t *out, struct err *err)
{
	static const char units[] = "kmg";
	struct cursor cur = cursor_of(value, strlen(value));
	unsigned shift = 0;
	uint64_t number;

	if (!cursor_decimal(&cur, UINT64_MAX, &number))
		return bad_value(key, value, "a number of bytes", err);
	if (cur.left == 1) {
		const char *unit = strchr(units, *cur.ptr | 0x20);

		shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
	}
	if (cur.left > 1 || (cur.left == 1 && shift == 0) || number > UINT64_MAX >> shift)
		return bad_value(key, value, "a number of bytes, such as 500k or 2g", err);
	*out = number << shift;
	return 0;
}

static int take_patterns(const char *key, const char *value, char *out, size_t size,
			 struct err *err)
{
	size_t len = strlen(value);

	if (len >= size)
		return bad_value(key, value, "short enough", err);
	memcpy(out, value, len + 1);
	return 0;
}

/* git takes a relative one from the top of a work tree; there is none, so that it is not
 * used. */
static int take_excludes_file(struct config *config, const char *value, struct err *err)
{
	if (value[0] == '/')
		return take_path("core.excludesFile", value, config->rules.excludes_file, err);
	config->rules.excludes_file[0] = '\0';
	return 0;
}

/* `key` is in lower case, as git prints it. */
static int take_rule(struct config *config, const char *key, const char *value, struct err *err)
{
	struct config_rules *rules = &config->rules;

	if (strcmp(key, "core.excludesfile") == 0)
		return take_excludes_file(config, value, err);
	if (strcmp(key, "core.ignorecase") == 0)
		return take_bool("core.ignoreCase", value, &rules->ignore_case, err);
	if (strcmp(key, "fs.localonly") == 0)
		return take_patterns("fs.localOnly", value, rules->local_only,
				     sizeof(rules->local_only), err);
	if (strcmp(key, "fs.maxfilesize") == 0)
		return take_size("fs.maxFileSize", value, &rules->file_max, err);
	return 0;
}

/* The same. */
static int take(struct config *config, const char *key, const char *value, struct err *err)
{
	if (strcmp(key, "fs.defaulthost") == 0)
		return take_host("fs.defaultHost", value, config->default_host,
				 sizeof(config->default_host), err);
	if (strcmp(key, "fs.timeout") == 0)
		return take_number("fs.timeout", value, OPTION_TIMEOUT_MAX_S, &config->timeout_s,
				   err);
	if (strcmp(key, "fs.connections") == 0)
		return take_number("fs.connections", value, REMOTE_CONNECTIONS_MAX,
				   &config->connections, err);
	if (strcmp(key, "fs.allowother") == 0)
		return take_bool("fs.allowOther", value, &config->allow_other, err);
	if (strcmp(key, "fs.cachedir") == 0)
		return take_path("fs.cacheDir", value, config->cache_dir, err);
	if (strcmp(key, "fs.statedir") == 0)
		return take_path("fs.stateDir", value, config->state_dir, err);
	return take_rule(config, key, value, err);
}

/* "key\nvalue", or "key" alone, which means true. */
static int take_entry(struct config *config, const uint8_t *entry, size_t len, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(OUTPUT_MAX);
	const uint8_t *newline = memchr(entry, '\n', len);
	size_t key_len = newline != NULL ? (size_t)(newline - entry) : len;
	char key[256];
	int ret;

	if (key_len >= sizeof(key))
		return 0; /* none of ours */
	memcpy(key, entry, key_len);
	key[key_len] = '\0';
	if (newline == NULL)
		return take(config, key, "true", err);
	ret = buf_append(&text, newline + 1, len - key_len - 1);
	if (ret < 0)
		return err_set(err, ret, "git config %s: %s", key, err_name(ret));
	return take(config, key, buf_str(&text), err);
}

int config_parse(struct config *config, const void *data, size_t len, struct err *err)
{
	struct cursor cur = cursor_of(data, len);
	const uint8_t *entry;
	size_t entry_len;

	while (cursor_until(&cur, '\0', &entry, &entry_len)) {
		int ret = take_entry(config, entry, entry_len, err);

		if (ret < 0)
			return ret;
	}
	return cur.left == 0 ? 0 : err_set(err, ERR_PROTOCOL, "git config: cut output");
}

static int ask_git(struct config *config, const char *const *argv, struct err *err)
{
	AUTO_BUF struct buf out = BUF_INIT_MAX(OUTPUT_MAX);
	AUTO_BUF struct buf errors = BUF_INIT_MAX(512);
	int ret = proc_run(argv, NULL, NULL, &out, &errors, GIT_TIMEOUT_MS, err);

	if (ret < 0) {
		err_prefix(err, "cannot ask git for its configuration");
		return ret;
	}
	if (ret == 1 && out.len == 0 && errors.len == 0)
		return 0; /* nothing is set */
	if (ret != 0) {
		const char *words = buf_str(&errors);

		return err_set(err, -EIO, "git config failed: %.*s", (int)strcspn(words, "\n"),
			       words);
	}
	return config_parse(config, out.data, out.len, err);
}

int config_read_general(struct config *config, struct err *err)
{
	const char *const argv[] = { "git", "config", "-z", "--get-regexp",
				     "^fs\\.(defaulthost|statedir)$", NULL };

	return ask_git(config, argv, err);
}

/* gitignore(5); none where there is no home, or where the path would be too long. */
static void default_excludes_file(char out[PATH_MAX])
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int len = 0;

	if (xdg != NULL && xdg[0] == '/')
		len = snprintf(out, PATH_MAX, "%s/git/ignore", xdg);
	else if (home != NULL && home[0] == '/')
		len = snprintf(out, PATH_MAX, "%s/.config/git/ignore", home);
	if (len <= 0 || len >= PATH_MAX)
		out[0] = '\0';
}

int config_read_core(struct config *config, struct err *err)
{
	/* Not at once: with --path, git refuses what has no value, as a boolean may. */
	const char *const file[] = { "git", "config", "-z", "--path", "--get-regexp",
				     "^core\\.excludesfile$", NULL };
	const char *const ignore_case[] = { "git", "config", "-z", "--get-regexp",
					    "^core\\.ignorecase$", NULL };
	int ret;

	default_excludes_file(config->rules.excludes_file);
	ret = ask_git(config, file, err);
	return ret < 0 ? ret : ask_git(config, ignore_case, err);
}

/* git's URL matching wants a scheme: a path becomes file://, an scp-like
 * address ssh://. */
static int matching_url(struct buf *out, const struct url *url)
{
	const char *path = url->path;
	int ret;

	if (strstr(url->canonical, "://") != NULL)
		return buf_append_str(out, url->canonical);
	if (url->scheme == URL_LOCAL)
		ret = buf_append_str(out, "file://");
	else
		ret = buf_printf(out, "ssh://%s/", url->host);

	for (; ret >= 0 && *path != '\0'; path++) {
		unsigned char byte = (unsigned char)*path;

		if (byte > ' ' && byte < 0x7f && strchr("%?#\"<>\\^`{|}", byte) == NULL)
			ret = buf_append_u8(out, byte);
		else
			ret = buf_printf(out, "%%%02X", byte);
	}
	return ret;
}

int config_read(struct config *config, const struct url *url, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT_MAX(4 * (size_t)URL_MAX);
	const char *argv[] = { "git", "config", "-z", "--get-urlmatch", "fs", NULL, NULL };
	int ret;

	ret = matching_url(&text, url);
	if (ret < 0)
		return err_set(err, ret, "git config: %s", err_name(ret));
	argv[5] = buf_str(&text);
	return ask_git(config, argv, err);
}
