/*
 * One transport: one easy handle in a multi handle of its own, so that a wait
 * can watch the `cancel` descriptor beside the sockets. The multi keeps the
 * connection open between requests; libcurl itself repeats a request on a fresh
 * connection where a kept one turns out to be closed.
 *
 * Requests:
 *
 *	GET  <base>/info/refs?service=git-upload-pack    discover
 *	POST <base>/git-upload-pack                      request, gzip'd over 1 KiB
 *
 * both with `Git-Protocol: version=2`. Redirects are followed for the GET alone
 * (as git's http.followRedirects=initial), and what stands before /info/refs
 * afterwards is the base for all that comes; name and password stay with the
 * host that they were given for.
 */
#include "remote/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "git/zstream.h"
#include "remote/response.h"

#define GZIP_OVER 1024           /* bytes; git's own threshold */
#define GZIP_LEVEL 1             /* hex digits: higher levels gain nothing */
#define REDIRECTS_MAX 5L
#define ERROR_BODY_MAX 65536     /* bytes of an error page that are read to keep the connection */
#define DISCOVER_PATH "/info/refs?service=git-upload-pack"
#define REQUEST_PATH "/git-upload-pack"
#define ADDRESS_MAX (URL_MAX + 64)

struct http_endpoint {
	struct endpoint base;
	struct traffic *traffic;
	const char *user_agent;
	unsigned timeout_ms;
	struct url url;
	pthread_mutex_t lock;   /* innermost */
	char address[URL_MAX];  /* guarded by lock; moves with a redirect */
	bool use_password;      /* guarded by lock; url's are for this host */
};

/* A transfer, while it lasts. */
struct transfer {
	struct answer *answer;
	const char *type;  /* the content type that the answer must have */
	struct err *err;
	bool judged;       /* status and type were looked at ... */
	bool accepted;     /* ... and are right */
	int result;        /* a negative errno of take(), or ANSWER_* */
	size_t error_body; /* bytes of an answer that was not accepted */
	bool plain;        /* ... which are text ... */
	char words[256];   /* ... the first of which are kept */
};

struct http {
	struct transport base;
	struct http_endpoint *endpoint;
	CURLM *multi;
	CURL *easy;
	struct transfer *transfer; /* borrowed; NULL between transfers */
	char curl_words[CURL_ERROR_SIZE];
};

static bool has_type(const char *type, const char *wanted)
{
	size_t len = strlen(wanted);
	return type != NULL && strncasecmp(type, wanted, len) == 0 &&
	       (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static void judge(struct http *http, struct transfer *transfer)
{
	long status = 0;
	const char *type = NULL;
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(http->easy, CURLINFO_CONTENT_TYPE, &type);
	transfer->judged = true;
	transfer->accepted = status == 200 && has_type(type, transfer->type);
	transfer->plain = has_type(type, "text/plain");
}

/* The body of an answer that is not what we want. */
static size_t on_error_body(struct transfer *transfer, const char *data, size_t len)
{
	if (transfer->plain && transfer->error_body == 0)
		response_words(transfer->words, sizeof(transfer->words), (const uint8_t *)data,
			       len);
	transfer->error_body += len;
	return transfer->error_body > ERROR_BODY_MAX ? 0 : len;
}

static size_t on_body(char *data, size_t one, size_t len, void *ctx)
{
	struct http *http = ctx;
	struct transfer *transfer = http->transfer;
	(void)one;
	if (len == 0)
		return 0;
	atomic_fetch_add(&http->endpoint->traffic->received, len);
	if (!transfer->judged)
		judge(http, transfer);
	if (!transfer->accepted)
		return on_error_body(transfer, data, len);
	if (transfer->result == ANSWER_DONE)
		transfer->result = err_set(transfer->err, ERR_PROTOCOL,
					   "the server sent bytes after the end of its answer");
	else
		transfer->result = transfer->answer->take(
			transfer->answer, (const uint8_t *)data, len, transfer->err);
	return transfer->result < 0 || transfer->result == ANSWER_ENOUGH ? 0 : len;
}

static size_t on_header(char *data, size_t one, size_t len, void *ctx)
{
	struct http *http = ctx;
	(void)data;
	(void)one;
	http->base.answered = true;
	return len;
}

/* What libcurl's failures mean. */
static int curl_failure(const struct http *http, CURLcode code, struct err *err)
{
	const char *words = http->curl_words[0] != '\0' ? http->curl_words :
							  curl_easy_strerror(code);
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return err_set(err, -ENOMEM, "out of memory");
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, ERR_TIMEOUT, "%s", words);
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PROXY:
		return err_set(err, ERR_UNREACHABLE, "%s", words);
	default:
		return err_set(err, ERR_PROTOCOL, "%s", words);
	}
}

/* What a status other than 200 means. 5xx of a gateway pass; others stay. */
static int status_failure(const struct transfer *transfer, long status, struct err *err)
{
	int code = ERR_PROTOCOL;
	if (status == 401 || status == 403 || status == 407)
		code = ERR_AUTH;
	else if (status == 404 || status == 410)
		code = ERR_NOT_FOUND;
	else if (status == 408 || status == 429 || (status >= 502 && status <= 504))
		code = ERR_UNREACHABLE;
	const char *meaning = code == ERR_AUTH	    ? " (access denied)" :
			      code == ERR_NOT_FOUND ? " (no such repository)" :
						      "";
	return err_set(err, code, "the server answered with status %ld%s%s%s", status, meaning,
		       transfer->words[0] != '\0' ? ": " : "", transfer->words);
}

/* The outcome of a transfer that libcurl has ended with `code`. */
static int conclude(struct http *http, const struct transfer *transfer, CURLcode code,
		    struct err *err)
{
	long status = 0;
	const char *type = NULL;
	if (transfer->result < 0)
		return transfer->result;
	if (transfer->result == ANSWER_ENOUGH)
		return 0;
	if (code != CURLE_OK && transfer->error_body <= ERROR_BODY_MAX)
		return curl_failure(http, code, err);
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(http->easy, CURLINFO_CONTENT_TYPE, &type);
	if (status != 200)
		return status_failure(transfer, status, err);
	if (!has_type(type, transfer->type)) {
		char words[128];
		response_words(words, sizeof(words), (const uint8_t *)(type ? type : "nothing"),
			       strlen(type ? type : "nothing"));
		return err_set(err, ERR_PROTOCOL,
			       "the server answered with %s: not git's smart protocol", words);
	}
	if (transfer->result != ANSWER_DONE)
		return err_set(err, ERR_PROTOCOL, "the server's answer is empty or cut off");
	return 0;
}

/* A number that changes whenever something moved. */
static curl_off_t progress_of(CURL *easy)
{
	static const CURLINFO counters[] = {
		CURLINFO_SIZE_DOWNLOAD_T, CURLINFO_SIZE_UPLOAD_T,    CURLINFO_NAMELOOKUP_TIME_T,
		CURLINFO_CONNECT_TIME_T,  CURLINFO_APPCONNECT_TIME_T,
	};
	long headers = 0;
	curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &headers);
	curl_off_t sum = headers;
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		curl_off_t value = 0;
		curl_easy_getinfo(easy, counters[i], &value);
		sum += value;
	}
	return sum;
}

/* Drives the transfer to its end. A negative errno where it was given up. */
static int drive(struct http *http, CURLcode *code_out, const struct cancel *cancel,
		 struct err *err)
{
	uint64_t timeout_ns = http->endpoint->timeout_ms * NS_PER_MS;
	uint64_t moved_at = mono_ns();
	curl_off_t progress = progress_of(http->easy);
	for (;;) {
		int running = 0, left = 0;
		if (curl_multi_perform(http->multi, &running) != CURLM_OK)
			return err_set(err, -ENOMEM, "libcurl failed");
		CURLMsg *msg = curl_multi_info_read(http->multi, &left);
		if (msg != NULL && msg->msg == CURLMSG_DONE) {
			*code_out = msg->data.result;
			return 0;
		}
		uint64_t now = mono_ns();
		curl_off_t progress_now = progress_of(http->easy);
		if (progress_now != progress)
			moved_at = now;
		progress = progress_now;
		if (cancel_is_set(cancel))
			return err_set(err, ERR_CANCELLED, "given up");
		if (now - moved_at >= timeout_ns)
			return err_set(err, ERR_TIMEOUT, "no byte for %u ms",
				       http->endpoint->timeout_ms);
		uint64_t wait_ms = (moved_at + timeout_ns - now) / NS_PER_MS + 1;
		struct curl_waitfd extra = { .fd = cancel != NULL ? cancel->fd : -1,
					     .events = CURL_WAIT_POLLIN };
		if (curl_multi_poll(http->multi, &extra, cancel != NULL ? 1 : 0,
				    wait_ms < 60000 ? (int)wait_ms : 60000, NULL) != CURLM_OK)
			return err_set(err, -ENOMEM, "libcurl failed");
	}
}

/* Where to send the next request, and as whom. */
static int aim(struct http *http, const char *path, struct err *err)
{
	struct http_endpoint *endpoint = http->endpoint;
	char address[ADDRESS_MAX];
	bool use_password;
	{
		WITH_LOCK(&endpoint->lock);
		snprintf(address, sizeof(address), "%s%s", endpoint->address, path);
		use_password = endpoint->use_password;
	}
	bool tls = strncmp(address, "https:", 6) == 0;
	CURLcode code = curl_easy_setopt(http->easy, CURLOPT_URL, address);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_REDIR_PROTOCOLS_STR,
					tls ? "https" : "http,https");
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_USERNAME,
					use_password ? endpoint->url.user : NULL);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_PASSWORD,
					use_password ? endpoint->url.password : NULL);
	return code == CURLE_OK ? 0 : curl_failure(http, code, err);
}

/* Appends to a list; frees it where memory is short. */
static int add_header(struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*list, header);
	if (longer == NULL) {
		curl_slist_free_all(*list);
		*list = NULL;
		return -ENOMEM;
	}
	*list = longer;
	return 0;
}

/* Runs what the easy handle was set up for. */
static int run(struct http *http, struct curl_slist *headers, struct transfer *transfer,
	       const struct cancel *cancel)
{
	CURLcode code = curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
	if (code != CURLE_OK)
		return curl_failure(http, code, transfer->err);
	http->base.answered = false;
	http->curl_words[0] = '\0';
	http->transfer = transfer;
	atomic_fetch_add(&http->endpoint->traffic->requests, 1);
	if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
		return err_set(transfer->err, -ENOMEM, "libcurl failed");
	int rc = drive(http, &code, cancel, transfer->err);
	if (rc == 0)
		rc = conclude(http, transfer, code, transfer->err);
	curl_multi_remove_handle(http->multi, http->easy);
	http->transfer = NULL;
	http->base.broken = rc == ERR_UNREACHABLE || rc == ERR_TIMEOUT; /* nothing is open */
	return rc;
}

/* Whether two addresses are of one host, by the same door. */
static bool same_origin(CURLU *a, CURLU *b)
{
	static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
	bool same = true;
	for (size_t i = 0; same && i < sizeof(parts) / sizeof(parts[0]); i++) {
		char *one = NULL, *other = NULL;
		same = curl_url_get(a, parts[i], &one, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       curl_url_get(b, parts[i], &other, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		       strcasecmp(one, other) == 0;
		curl_free(one);
		curl_free(other);
	}
	return same;
}

/* The address up to DISCOVER_PATH, without user and password, into `out`. */
static int base_of(CURLU *from, const char *effective, char *out)
{
	char *text = NULL;
	if (curl_url_set(from, CURLUPART_URL, effective, 0) != CURLUE_OK ||
	    curl_url_set(from, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
	    curl_url_set(from, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
	    curl_url_get(from, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return ERR_PROTOCOL;
	size_t len = strlen(text), tail = strlen(DISCOVER_PATH);
	bool good = len > tail && len - tail < URL_MAX &&
		    strcmp(text + len - tail, DISCOVER_PATH) == 0;
	if (good) {
		memcpy(out, text, len - tail);
		out[len - tail] = '\0';
	}
	curl_free(text);
	return good ? 0 : ERR_PROTOCOL;
}

/* After discovery: goes on where a redirect led. */
static int adopt_redirect(struct http *http, struct err *err)
{
	struct http_endpoint *endpoint = http->endpoint;
	const char *effective = NULL;
	long redirects = 0;
	curl_easy_getinfo(http->easy, CURLINFO_REDIRECT_COUNT, &redirects);
	curl_easy_getinfo(http->easy, CURLINFO_EFFECTIVE_URL, &effective);
	if (redirects == 0 || effective == NULL)
		return 0;
	char base[URL_MAX];
	CURLU *now = curl_url(), *first = curl_url();
	int rc = now != NULL && first != NULL ? base_of(now, effective, base) : -ENOMEM;
	if (rc == 0) {
		bool same = curl_url_set(first, CURLUPART_URL, endpoint->url.canonical, 0) ==
				    CURLUE_OK &&
			    same_origin(now, first);
		WITH_LOCK(&endpoint->lock);
		memcpy(endpoint->address, base, sizeof(base));
		endpoint->use_password = same && endpoint->url.password[0] != '\0';
	}
	curl_url_cleanup(now);
	curl_url_cleanup(first);
	if (rc == ERR_PROTOCOL)
		return err_set(err, rc, "the server redirects to what is no repository's address");
	return rc;
}

static int http_discover(struct transport *transport, struct answer *answer,
			 const struct cancel *cancel, struct err *err)
{
	struct http *http = (struct http *)(void *)transport;
	struct transfer transfer = {
		.answer = answer, .err = err,
		.type = "application/x-git-upload-pack-advertisement",
	};
	struct curl_slist *headers = NULL;
	if (add_header(&headers, "Git-Protocol: version=2") < 0)
		return -ENOMEM;
	curl_easy_setopt(http->easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(http->easy, CURLOPT_FOLLOWLOCATION, 1L);
	int rc = aim(http, DISCOVER_PATH, err);
	if (rc == 0)
		rc = run(http, headers, &transfer, cancel);
	if (rc == 0)
		rc = adopt_redirect(http, err);
	curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return rc;
}

static int request_headers(struct curl_slist **out, bool packed)
{
	static const char *const always[] = {
		"Git-Protocol: version=2",
		"Content-Type: application/x-git-upload-pack-request",
		"Accept: application/x-git-upload-pack-result",
		"Expect:", /* libcurl's own would cost a round trip */
	};
	struct curl_slist *list = NULL;
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (add_header(&list, always[i]) < 0)
			return -ENOMEM;
	if (packed && add_header(&list, "Content-Encoding: gzip") < 0)
		return -ENOMEM;
	*out = list;
	return 0;
}

static int http_request(struct transport *transport, const struct buf *body,
			struct answer *answer, const struct cancel *cancel, struct err *err)
{
	struct http *http = (struct http *)(void *)transport;
	struct transfer transfer = {
		.answer = answer, .err = err, .type = "application/x-git-upload-pack-result",
	};
	AUTO_BUF struct buf packed = BUF_INIT;
	struct curl_slist *headers = NULL;
	const struct buf *sent = body;
	if (body->len > GZIP_OVER) {
		int rc = zstream_gzip(body->data, body->len, GZIP_LEVEL, &packed);
		if (rc < 0)
			return rc;
		sent = &packed;
	}
	int rc = request_headers(&headers, sent == &packed);
	if (rc < 0)
		return err_set(err, rc, "out of memory");
	curl_easy_setopt(http->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(http->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)sent->len);
	curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, sent->data); /* borrowed, not copied */
	curl_easy_setopt(http->easy, CURLOPT_FOLLOWLOCATION, 0L);
	rc = aim(http, REQUEST_PATH, err);
	if (rc == 0) {
		atomic_fetch_add(&http->endpoint->traffic->sent, sent->len);
		rc = run(http, headers, &transfer, cancel);
	}
	curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(http->easy, CURLOPT_POSTFIELDS, NULL);
	curl_slist_free_all(headers);
	return rc;
}

static void http_close(struct transport *transport)
{
	struct http *http = (struct http *)(void *)transport;
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	free(http);
}

/* What is the same for all requests. */
static CURLcode set_up(struct http *http)
{
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_NOSIGNAL, 1 },
		{ CURLOPT_TCP_NODELAY, 1 },
		{ CURLOPT_TCP_KEEPALIVE, 1 },
		{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS },
		{ CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC },
		{ CURLOPT_MAXREDIRS, REDIRECTS_MAX },
		{ CURLOPT_CONNECTTIMEOUT_MS, (long)http->endpoint->timeout_ms },
		{ CURLOPT_QUICK_EXIT, 1 }, /* a cancel does not wait for the resolver */
	};
	CURLcode code = CURLE_OK;
	for (size_t i = 0; code == CURLE_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		code = curl_easy_setopt(http->easy, numbers[i].option, numbers[i].value);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_USERAGENT, http->endpoint->user_agent);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_ERRORBUFFER, http->curl_words);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_WRITEFUNCTION, on_body);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_WRITEDATA, http);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_HEADERFUNCTION, on_header);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_HEADERDATA, http);
	return code;
}

static int http_open(struct endpoint *endpoint, struct transport **out, struct err *err)
{
	static const struct transport_ops ops = {
		.discover = http_discover,
		.request = http_request,
		.close = http_close,
	};
	struct http *http = calloc(1, sizeof(*http));
	if (http == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	http->base.ops = &ops;
	http->endpoint = (struct http_endpoint *)(void *)endpoint;
	http->multi = curl_multi_init();
	http->easy = curl_easy_init();
	if (http->multi == NULL || http->easy == NULL || set_up(http) != CURLE_OK) {
		http_close(&http->base);
		return err_set(err, -ENOMEM, "libcurl cannot be set up");
	}
	*out = &http->base;
	return 0;
}

static void http_free(struct endpoint *base)
{
	struct http_endpoint *endpoint = (struct http_endpoint *)(void *)base;
	pthread_mutex_destroy(&endpoint->lock);
	url_wipe(&endpoint->url);
	free(endpoint);
}

static void init_libcurl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows in curl_easy_init */
}

int http_endpoint_new(struct endpoint **out, const struct url *url,
		      const struct remote_config *config, struct traffic *traffic, struct err *err)
{
	static const struct endpoint_ops ops = { .open = http_open, .free = http_free };
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_libcurl);
	struct http_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	int rc = endpoint != NULL ? pthread_mutex_init(&endpoint->lock, NULL) : ENOMEM;
	if (rc != 0) {
		free(endpoint);
		return err_sys(err, rc, "cannot make a remote");
	}
	endpoint->base.ops = &ops;
	endpoint->base.greets = false;
	endpoint->traffic = traffic;
	endpoint->user_agent = config->user_agent;
	endpoint->timeout_ms = config->timeout_ms;
	endpoint->url = *url;
	snprintf(endpoint->address, sizeof(endpoint->address), "%s", url->canonical);
	endpoint->use_password = url->password[0] != '\0';
	*out = &endpoint->base;
	return 0;
}
