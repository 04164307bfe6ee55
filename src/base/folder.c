/* Reading the names in a folder; see folder.h. */
#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>

#include "base/io.h"

int folder_open(int parent, const char *path, DIR **out)
{
	int fd = io_open(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0)
		return fd;
	*out = fdopendir(fd);
	int rc = *out != NULL ? 0 : -errno;

	if (rc < 0)
		io_close(&fd);
	return rc;
}
