/*
 * The pkt-lines of an answer, for the parsers of its kinds: advert, ls_refs,
 * fetch_response, object_info. Source: gitprotocol-v2(5).
 */
#ifndef GIT_FS_REMOTE_RESPONSE_H
#define GIT_FS_REMOTE_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "git/pktline.h"
#include "remote/transport.h"

#define REFUSAL_MAX 512 /* bytes of a server's words that are kept, with the NUL */

/* Embedded first by a parser. */
struct response {
	struct answer answer;
	struct pktline_reader reader;
	/* One line of the answer; ANSWER_* or a negative errno. */
	int (*line)(struct response *response, const struct pkt *pkt, struct err *err);
	/* Forgets what came, so that the answer to a second try can be taken. */
	void (*restart)(struct response *response);
	bool begun;   /* a line came that is no refusal */
	bool refused; /* the server said `ERR words`, and nothing after it */
	char refusal[REFUSAL_MAX]; /* the words, escaped */
};

void response_init(struct response *response,
		   int (*line)(struct response *, const struct pkt *, struct err *),
		   void (*restart)(struct response *));
void response_release(struct response *response);
/* For the restart() of parsers: the part that this module keeps. */
void response_clear(struct response *response);

/* A server's words, fit to be shown: without final newlines, control bytes
 * escaped, credentials blotted out, cut where too long. */
void response_words(char *out, size_t size, const uint8_t *data, size_t len);

#endif
