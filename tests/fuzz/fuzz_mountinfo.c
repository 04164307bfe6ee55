/* mountinfo and tips: texts that others may have had a hand in. */
#include <assert.h>
#include <string.h>

#include "cli/mounts.h"
#include "cli/tip.h"
#include "fuzz.h"

static void check_table(const struct mount_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct mount_entry *entry = &table->entries[i];
		const struct mount_entry *top = mount_table_at(table, entry->mount_point);

		assert(top >= entry);
		assert(strcmp(top->mount_point, entry->mount_point) == 0);
		assert(mount_table_has_device(table, entry->major, entry->minor));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mount_table table = MOUNT_TABLE_INIT;
	struct buf text = BUF_INIT;
	struct tip tip;

	assert(buf_append(&text, data, size) == 0);
	if (mount_table_parse(&table, &text) == 0)
		check_table(&table);
	mount_table_release(&table);
	if (tip_parse(data, size, &tip) == 0)
		assert(oid_is_set(&tip.ref.commit) && strlen(tip.ref.name) < REF_NAME_MAX);
	return 0;
}
