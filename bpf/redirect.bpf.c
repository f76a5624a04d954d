// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Redirects that come to nothing after the packet core said yes: the driver refuses, the queue is full, the device is down.
 * No counter of an interface shows them, only tracepoints do. Those are global, so what other network namespaces do is
 * passed over. The links are pinned: failures are counted while every daemon is dead.
 *
 * The tracepoint of redirects that succeed is left alone: it would cost every packet, and what is sent in vain is known
 * from each batch that goes to a device.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* What is read of the kernel's own structures; offsets come from its type information when this is loaded. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
};
#pragma clang attribute pop

enum failure {
	FAILED_REDIRECT = 1, /* xdp_redirect_err: the frame got no further than the port it came in by */
	FAILED_ACTION = 2,   /* xdp_exception: the program aborted, or the driver cannot do what it said */
	FAILED_SEND = 3,     /* xdp_devmap_xmit: the device did not take it */
};

struct failure_key {
	__u32 ifindex; /* 0: of devices for which there was no room */
	__u16 failure;
	__u16 error; /* errno; FAILED_ACTION: the action */
};

/* Frames by device, kind and error. Written here, read by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct failure_key);
	__type(value, __u64);
} redirect_failures SEC(".maps");

/* Inode number of the network namespace that counts. Written by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} watched_namespace SEC(".maps");

/* Frames that the egress program refused since the last batch: the kernel counts them among those that were not sent.
 * Written by sekisho.bpf.c, taken here, on the same CPU and before anything else runs on it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} refused_at_exit SEC(".maps");

static __always_inline int is_ours(const struct net_device *dev)
{
	__u32 zero = 0;
	__u32 *ours = bpf_map_lookup_elem(&watched_namespace, &zero);

	return ours && dev->nd_net.net->ns.inum == *ours;
}

static __always_inline void failed(const struct net_device *dev, enum failure what, int error, __u64 frames)
{
	struct failure_key key = {.ifindex = dev->ifindex, .failure = what, .error = error < 0 ? -error : error};
	__u64 none = 0, *n = bpf_map_lookup_elem(&redirect_failures, &key);

	if (!n) {
		bpf_map_update_elem(&redirect_failures, &key, &none, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&redirect_failures, &key);
	}
	if (!n) {
		key.ifindex = 0;
		key.error = 0;
		n = bpf_map_lookup_elem(&redirect_failures, &key);
	}
	if (n)
		*n += frames;
}

/* dev, program, target, error, ... */
SEC("tp_btf/xdp_redirect_err")
int redirect_failed(__u64 *arguments)
{
	const struct net_device *dev = (void *)arguments[0];

	if (is_ours(dev))
		failed(dev, FAILED_REDIRECT, (int)arguments[3], 1);
	return 0;
}

/* dev, program, action */
SEC("tp_btf/xdp_exception")
int action_failed(__u64 *arguments)
{
	const struct net_device *dev = (void *)arguments[0];

	if (is_ours(dev))
		failed(dev, FAILED_ACTION, (int)arguments[2], 1);
	return 0;
}

/* device that frames came in by, device they go to, sent, not sent, error */
SEC("tp_btf/xdp_devmap_xmit")
int send_failed(__u64 *arguments)
{
	const struct net_device *dev = (void *)arguments[1];
	int lost = (int)arguments[3];
	__u32 zero = 0;
	__u64 *refused;

	if (lost <= 0 || !is_ours(dev))
		return 0;
	refused = bpf_map_lookup_elem(&refused_at_exit, &zero);
	if (refused) {
		lost -= (int)*refused;
		*refused = 0;
	}
	if (lost > 0)
		failed(dev, FAILED_SEND, (int)arguments[4], lost);
	return 0;
}
