/* A plug-in of the gateway: paths that begin with /admin do not exist. Built by build.sh beside it. */

#include <linux/types.h>

#define SEC(name) __attribute__((section(name), used))

/* What the gateway shows of a request; `request_ctx` in src/gateway.ts. */
struct request_ctx {
	__u32 data;
	__u32 data_end;
	__u32 method;
	__u16 status;
	__u32 cost;
};

enum { NEXT = -1, ALLOW = 0, DENY = 1 };

char LICENSE[] SEC("license") = "GPL";

static const char admin[] = "/admin";

SEC("request")
int no_admin(struct request_ctx *ctx)
{
	const char *path = (const char *)(long)ctx->data;
	const char *end = (const char *)(long)ctx->data_end;

	ctx->cost += 2;
	if (path + sizeof(admin) - 1 > end)
		return NEXT;
	for (unsigned int at = 0; at < sizeof(admin) - 1; at++)
		if (path[at] != admin[at])
			return NEXT;
	ctx->status = 404;
	return DENY;
}
