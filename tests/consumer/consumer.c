/* The smallest program of a stranger: sees only the installed headers and library. */
#include <netmend/netmend.h>
#include <stdio.h>

int main(void)
{
    nm_err err = {0};
    nm_ctx *ctx = NULL;

    if (nm_ctx_new(&ctx, &err) != NM_OK || nm_ctx_threads(ctx) < 1) {
        fprintf(stderr, "consumer: %s\n", err.text);
        return 1;
    }
    nm_ctx_free(ctx);
    printf("netmend %s\n", nm_version());
    return 0;
}
