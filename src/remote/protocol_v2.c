/*
 *	command=<name>
 *	agent=<program>           if the server knows that word, or was not asked
 *	object-format=<algo>      if it knows that one; or sha256, for that is not
 *	                          what it assumes
 *	0001
 *	<arguments>
 *	0000
 *
 * `deepen 1` stands in every fetch: a commit then comes without its history, and
 * nothing changes for trees and blobs.
 */
#include "remote/protocol_v2.h"

#include "git/pktline.h"

static int v2_begin(struct buf *out, const struct v2_context *context, const char *command)
{
	const struct offer *offer = &context->offer;
	enum hash_algo algo = context->algo != 0 ? context->algo : offer->algo;
	int rc = pktline_printf(out, "command=%s\n", command);
	if (rc == 0 && (!offer->known || offer->agent))
		rc = pktline_printf(out, "agent=%s\n", context->agent);
	if (rc == 0 && (offer->object_format || algo == HASH_SHA256))
		rc = pktline_printf(out, "object-format=%s\n", hash_name(algo));
	return rc < 0 ? rc : pktline_delim(out);
}

static int v2_oids(struct buf *out, const char *word, const struct oid *oids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char hex[OID_HEX_MAX + 1];
		int rc = pktline_printf(out, "%s %s\n", word, oid_to_hex(&oids[i], hex));
		if (rc < 0)
			return rc;
	}
	return 0;
}

int v2_ls_refs(struct buf *out, const struct v2_context *context,
	       const struct ref_candidates *candidates)
{
	int rc = v2_begin(out, context, "ls-refs");
	if (rc == 0)
		rc = pktline_printf(out, "peel\n");
	if (rc == 0)
		rc = pktline_printf(out, "symrefs\n");
	for (size_t i = 0; rc == 0 && candidates != NULL && i < candidates->count; i++)
		rc = pktline_printf(out, "ref-prefix %s\n", candidates->names[i]);
	return rc < 0 ? rc : pktline_flush(out);
}

static int v2_filter(struct buf *out, enum filter filter, unsigned tree_depth)
{
	switch (filter) {
	case FILTER_TREE:
		return pktline_printf(out, "filter tree:%u\n", tree_depth);
	case FILTER_COMBINE:
		return pktline_printf(out, "filter combine:blob:none+tree:%u\n", tree_depth);
	case FILTER_BLOB_NONE:
		return pktline_printf(out, "filter blob:none\n");
	case FILTER_NONE:
		break;
	}
	return 0;
}

int v2_fetch(struct buf *out, const struct v2_context *context, const struct oid *oids,
	     size_t count, enum filter filter, unsigned tree_depth)
{
	const struct offer *offer = &context->offer;
	int rc = v2_begin(out, context, "fetch");
	if (rc == 0)
		rc = pktline_printf(out, "ofs-delta\n");
	if (rc == 0)
		rc = pktline_printf(out, "no-progress\n");
	if (rc == 0)
		rc = v2_oids(out, "want", oids, count);
	if (rc == 0 && (!offer->known || offer->shallow))
		rc = pktline_printf(out, "deepen 1\n");
	if (rc == 0 && (!offer->known || offer->filter))
		rc = v2_filter(out, filter, tree_depth);
	if (rc == 0)
		rc = pktline_printf(out, "done\n");
	return rc < 0 ? rc : pktline_flush(out);
}

int v2_object_info(struct buf *out, const struct v2_context *context, const struct oid *oids,
		   size_t count)
{
	int rc = v2_begin(out, context, "object-info");
	if (rc == 0)
		rc = pktline_printf(out, "size\n");
	if (rc == 0)
		rc = v2_oids(out, "oid", oids, count);
	return rc < 0 ? rc : pktline_flush(out);
}
