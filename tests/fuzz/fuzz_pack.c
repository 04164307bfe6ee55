/*
 * Packs. The first byte says how; the second, how large the pieces are.
 *
 *   even  the rest is a pack but for its trailer, which is put behind it, so
 *         that the parser can come to its end
 *   odd   the rest says what a right pack is made of: it must be taken whole,
 *         and the keeper must then have what the model has
 *
 * The model, an entry each: how (the low two bits: a plain object, an object
 * that is put at the end, an OFS_DELTA, a REF_DELTA; above them the type),
 * which earlier entry is the base, where a copy starts, how long it is, and how
 * many bytes follow that are the object or what the delta inserts.
 */
#include <assert.h>
#include <string.h>

#include "../unit/mem_sink.h"
#include "../unit/pack_build.h"
#include "fuzz.h"
#include "git/delta.h"
#include "git/pack.h"

#define ENTRIES_MAX 40

enum how { HOW_PLAIN, HOW_LATE, HOW_OFS, HOW_REF };

struct entry {
	enum object_type type;
	struct buf data; /* the object that it stands for */
	struct oid oid;
	size_t start; /* in the pack; 0: put at the end */
};

struct model {
	enum hash_algo algo;
	struct entry entries[ENTRIES_MAX];
	size_t count;
	struct buf body; /* of the pack */
};

static int feed(struct mem_sink *mem, enum hash_algo algo, const struct buf *pack, size_t piece)
{
	struct pack_parser *parser = pack_parser_new(algo, &mem->sink);
	struct cursor in = cursor_of(pack->data, pack->len);
	struct err err = ERR_INIT;
	const uint8_t *data;
	uint32_t count;
	int rc = 0;

	assert(parser != NULL);
	while (rc == 0 && in.left > 0) {
		size_t step = in.left < piece ? in.left : piece;

		cursor_bytes(&in, step, &data);
		rc = pack_parser_feed(parser, data, step, &err);
	}
	count = pack_parser_count(parser);
	assert(count == mem->calls && count <= pack_parser_total(parser));
	assert(rc != 1 || count == pack_parser_total(parser));
	assert(rc >= 0 || err.code == rc);
	pack_parser_free(parser);
	return rc;
}

static void run_raw(struct cursor in, enum hash_algo algo, size_t piece)
{
	AUTO_BUF struct buf pack = BUF_INIT;
	struct mem_sink mem;
	bool made = mem_sink_init(&mem, algo);
	int rc;

	assert(made);
	build_bytes(&pack, in.ptr, in.left);
	build_trailer(&pack, algo);
	rc = feed(&mem, algo, &pack, piece);
	assert(rc == 0 || rc == 1 || rc == ERR_CORRUPT || rc == ERR_LIMIT);
	mem_sink_release(&mem);
}

/* A delta on `base`: a copy, then an insertion. */
static void add_delta(struct model *model, struct entry *entry, const struct entry *base,
		      enum how how, const uint8_t *copy, struct cursor insert)
{
	AUTO_BUF struct buf delta = BUF_INIT;
	size_t from = base->data.len > 0 ? copy[0] % base->data.len : 0;
	size_t size = copy[1] < base->data.len - from ? copy[1] : base->data.len - from;
	int rc;

	build_delta_size(&delta, base->data.len);
	build_delta_size(&delta, size + insert.left);
	if (size > 0)
		build_delta_copy(&delta, (uint32_t)from, (uint32_t)size);
	build_delta_insert(&delta, insert.ptr, insert.left);
	rc = delta_apply(base->data.data, base->data.len, delta.data, delta.len, &entry->data);
	assert(rc == 0);
	entry->type = base->type;
	if (how == HOW_OFS && base->start > 0)
		entry->start = build_ofs_delta(&model->body, base->start, &delta);
	else
		entry->start = build_ref_delta(&model->body, &base->oid, &delta);
}

static bool add_entry(struct model *model, struct cursor *in)
{
	struct entry *entry = &model->entries[model->count];
	struct cursor data;
	const uint8_t *head;
	enum how how;

	if (!cursor_bytes(in, 5, &head))
		return false;
	data.left = head[4] < in->left ? head[4] : in->left;
	cursor_bytes(in, data.left, &data.ptr);
	how = (enum how)(head[0] & 3);
	entry->type = (enum object_type)(OBJECT_COMMIT + (head[0] >> 2) % 4);
	if (how >= HOW_OFS && model->count > 0) {
		add_delta(model, entry, &model->entries[head[1] % model->count], how, head + 2,
			  data);
	} else {
		build_bytes(&entry->data, data.ptr, data.left);
		if (how != HOW_LATE)
			entry->start = build_object(&model->body, entry->type, data.ptr, data.left);
	}
	entry->oid = build_oid(model->algo, entry->type, entry->data.data, entry->data.len);
	model->count++;
	return true;
}

static void run_model(struct cursor in, enum hash_algo algo, size_t piece)
{
	AUTO_BUF struct buf pack = BUF_INIT;
	struct model model = { .algo = algo };
	struct mem_sink mem;
	bool made = mem_sink_init(&mem, algo);
	int rc;

	assert(made);
	build_head(&model.body, 0);
	while (model.count < ENTRIES_MAX && add_entry(&model, &in))
		;
	for (size_t i = 0; i < model.count; i++)
		if (model.entries[i].start == 0)
			build_object(&model.body, model.entries[i].type,
				     model.entries[i].data.data, model.entries[i].data.len);
	build_head(&pack, (uint32_t)model.count);
	build_bytes(&pack, model.body.data + pack.len, model.body.len - pack.len);
	build_trailer(&pack, algo);
	rc = feed(&mem, algo, &pack, piece);
	assert(rc == 1 && mem.calls == model.count);
	for (size_t i = 0; i < model.count; i++) {
		const struct entry *entry = &model.entries[i];
		const struct mem_object *object = mem_sink_find(&mem, &entry->oid);

		assert(object != NULL && object->type == entry->type);
		buf_release(&model.entries[i].data);
	}
	buf_release(&model.body);
	mem_sink_release(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	enum hash_algo algo;
	uint8_t how, piece;

	if (!cursor_u8(&in, &how) || !cursor_u8(&in, &piece))
		return 0;
	algo = (how & 2) != 0 ? HASH_SHA256 : HASH_SHA1;
	if ((how & 1) == 0)
		run_raw(in, algo, (size_t)piece + 1);
	else
		run_model(in, algo, (size_t)piece + 1);
	return 0;
}
