/*
 * The main of a fuzz target where there is no libFuzzer: runs the corpus, or
 * the files named as arguments, each once.
 */
#include <dirent.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "fuzz.h"

enum { INPUT_LIMIT = 1 << 20 };

static bool run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	unsigned char *all = f ? pb_alloc(INPUT_LIMIT) : NULL, *exact = NULL;
	size_t n = all ? fread(all, 1, INPUT_LIMIT, f) : 0;

	if (all)
		exact = pb_alloc(n ? n : 1);
	if (exact) {
		memcpy(exact, all, n);
		LLVMFuzzerTestOneInput(exact + (n ? 0 : 1), n);
	} else {
		printf("cannot read %s\n", path);
	}
	pb_free(all);
	if (f)
		fclose(f);
	if (!exact)
		return false;
	pb_free(exact);
	return true;
}

static bool run_corpus(const char *folder, unsigned *n)
{
	DIR *d = opendir(folder);
	struct pb_arena *a = pb_arena_new(1 << 20);
	struct dirent *e;
	bool good = d != NULL;

	while (good && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		good = run_file(pb_arena_printf(a, "%s/%s", folder, e->d_name).p);
		*n += 1;
	}
	if (d)
		closedir(d);
	pb_arena_free(&a);
	return good;
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	bool good = true;

	for (int i = 1; i < argc && good; i++, n++)
		good = run_file(argv[i]);
	if (argc == 1)
		good = run_corpus(PB_SOURCE_DIR "/tests/fuzz/corpus/" FUZZ_CORPUS, &n);
	printf("fuzz/" FUZZ_CORPUS ": %u passed, %u failed\n", n, !good);
	return good && n ? 0 : 1;
}
