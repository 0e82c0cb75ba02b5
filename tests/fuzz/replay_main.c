/* Replays every file of the folders named on the command line through a fuzz target, so that the
   seed corpus is tested without a fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    enum { MAX_BYTES = 1 << 22 };
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(MAX_BYTES);
    size_t n;

    if (!f || !data) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    n = fread(data, 1, MAX_BYTES, f);
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 1;
}

static int replay_folder(const char *folder)
{
    char path[4096];
    int n = 0;
    DIR *dir = opendir(folder);

    if (!dir)
        return 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        n += replay_file(path);
    }
    (void)closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;

    for (int i = 1; i < argc; i++)
        n += replay_folder(argv[i]);
    (void)printf("%d inputs replayed\n", n);
    return n > 0 ? 0 : 1;
}
