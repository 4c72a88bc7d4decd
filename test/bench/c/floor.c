/* The floor: writes COUNT files of BYTES each and syncs every one, nothing else.
 * usage: floor DIR COUNT BYTES. Prints one line `cpu SECONDS` (user + system). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int count, char **argument)
{
	if (count != 4)
		return 64;
	int folder = open(argument[1], O_RDONLY | O_DIRECTORY);
	long files = atol(argument[2]), bytes = atol(argument[3]);
	char *content = malloc(bytes);
	if (folder < 0 || content == NULL)
		fail(argument[1]);
	memset(content, 0x5a, bytes);
	for (long i = 0; i < files; i++) {
		char name[32];
		long written = 0;
		snprintf(name, sizeof name, "%08ld", i);
		int file = openat(folder, name, O_CREAT | O_EXCL | O_WRONLY, 0600);
		if (file < 0)
			fail("open");
		while (written < bytes) {
			ssize_t n = write(file, content + written, bytes - written);
			if (n < 0)
				fail("write");
			written += n;
		}
		if (fdatasync(file) != 0 || close(file) != 0)
			fail("fdatasync");
	}
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	printf("cpu %.3f\n", used.ru_utime.tv_sec + used.ru_stime.tv_sec +
		(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	return 0;
}
