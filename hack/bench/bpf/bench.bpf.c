// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What measures the packet core. Nothing of this is part of the gate.
 *
 *   feed      writes the next packet of the list into the frame, every header anew, and tail-calls what is measured
 *   nothing   what feed costs by itself is measured with this
 *   generic   the peer of a flow's cost: the usual design, flows and permits in two HASH maps
 *   source    writes the next packet and sends it out by the device it "came in" by: a generator of live frames
 *   bare      the peer of forwarding: bpf_redirect and nothing else
 *   lift      lets everything up the stack; attaching it makes a veth poll, which kernel forwarding needs too
 *   sink      counts and drops at the far end
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INLINE static __always_inline

#define FIN 0x01
#define SYN 0x02
#define ACK 0x10

/* One packet of the list; half a cache line. Addresses, ports and checksums in network order. */
struct tuple {
	__u8 dmac[6];
	__u8 smac[6];
	__u32 src;
	__u32 dst;
	__u16 sport;
	__u16 dport;
	__u16 ip_check;
	__u16 tcp_check;
	__u8 flags; /* SYN without data, everything else with six bytes */
	__u8 pad[3];
};

/* The list. Bench writes it through memory, feed and source read it in order and begin again at its end. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tuple);
} tuples SEC(".maps");

volatile __u32 listed = 0; /* length of the list */
volatile __u32 at = 0;     /* the next one; only one CPU feeds at a time */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

/* 60 bytes: 64 on a wire that adds its check sequence. */
struct frame {
	__u8 dmac[6];
	__u8 smac[6];
	__be16 type;
	__u8 version, tos;
	__be16 length, id, fragment;
	__u8 ttl, proto;
	__be16 ip_check;
	__be16 addresses[4]; /* source, destination: read them with word() */
	__be16 sport, dport;
	__be16 rest[11];
};

/* Two bytes before a multiple of four: compilers would read it in halves. */
INLINE __u32 word(const __be16 *at)
{
	return *(const __u32 *)at;
}

/* Writes in the widths in which headers are read: a read that spans two fresh writes would wait for them, as none does for
 * what a card has written. */
INLINE void put16(void *f, __u32 at, __u16 v)
{
	*(volatile __u16 *)(f + at) = v;
}

INLINE void put32(void *f, __u32 at, __u32 v)
{
	*(volatile __u32 *)(f + at) = v;
}

INLINE int write_next(struct xdp_md *ctx)
{
	void *f = (void *)(long)ctx->data, *t;
	__u32 i = at, flags;

	if (f + sizeof(struct frame) > (void *)(long)ctx->data_end)
		return 0;
	t = bpf_map_lookup_elem(&tuples, &i);
	if (!t)
		return 0;
	i++;
	at = i >= listed ? 0 : i;
	flags = *(__u8 *)(t + 28);
	put32(f, 0, *(__u32 *)t); /* destination and source MAC */
	put16(f, 4, *(__u16 *)(t + 4));
	put32(f, 6, *(__u32 *)(t + 6));
	put16(f, 10, *(__u16 *)(t + 10));
	put16(f, 12, bpf_htons(0x0800));
	put16(f, 14, 0x0045); /* version, header length; type of service */
	put16(f, 16, flags & SYN ? bpf_htons(40) : bpf_htons(46));
	put16(f, 18, 0);
	put16(f, 20, bpf_htons(0x4000));
	put16(f, 22, 64 | 6 << 8);        /* hops; TCP */
	put16(f, 24, *(__u16 *)(t + 24)); /* checksum */
	put32(f, 26, *(__u32 *)(t + 12)); /* source and destination */
	put32(f, 30, *(__u32 *)(t + 16));
	put16(f, 34, *(__u16 *)(t + 20)); /* ports */
	put16(f, 36, *(__u16 *)(t + 22));
	put32(f, 38, flags & SYN ? 0 : bpf_htonl(1)); /* sequence */
	put32(f, 42, flags & ACK ? bpf_htonl(1) : 0);
	put16(f, 46, 0x50 | flags << 8); /* header length; flags */
	put16(f, 48, 0xffff);
	put16(f, 50, *(__u16 *)(t + 26)); /* checksum */
	put16(f, 52, 0);
	put32(f, 54, 0); /* data */
	put16(f, 58, 0);
	return 1;
}

SEC("xdp")
int feed(struct xdp_md *ctx)
{
	long meta = (long)ctx->data - (long)ctx->data_meta;

	if (meta && bpf_xdp_adjust_meta(ctx, meta)) /* the former packet went up the stack */
		return XDP_ABORTED;
	if (!write_next(ctx))
		return XDP_ABORTED;
	bpf_tail_call_static(ctx, &measured, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int nothing(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int source(struct xdp_md *ctx)
{
	return write_next(ctx) ? XDP_TX : XDP_ABORTED;
}

const volatile __u32 exit_device = 0; /* where bare and generic send to */

SEC("xdp")
int bare(struct xdp_md *ctx)
{
	return bpf_redirect(exit_device, 0);
}

SEC("xdp")
int lift(struct xdp_md *ctx)
{
	return XDP_PASS;
}

_Static_assert(sizeof(struct frame) == 60, "as long as the shortest frame");

struct tally {
	__u64 frames;
	__u64 pad[7];
};

#define MAX_CPUS 256
struct tally received[MAX_CPUS]; /* by CPU, a line each */

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	received[bpf_get_smp_processor_id() & (MAX_CPUS - 1)].frames++;
	return XDP_DROP;
}

/* The generic design: what conntrack-like XDP programs do. No station is checked, no egress bound, no epoch compared. */
struct generic_flow_key {
	__u32 src, dst;
	__u16 sport, dport;
	__u32 proto;
};

struct generic_flow {
	__u64 last, packets, bytes;
	__u32 device;
	__u8 dmac[6], smac[6];
	__u8 pad[24];
};

struct generic_permit_key {
	__u32 src, dst;
	__u16 dport, proto;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct generic_flow_key);
	__type(value, struct generic_flow);
} generic_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct generic_permit_key);
	__type(value, __u32);
} generic_permits SEC(".maps");

__u64 generic_refused = 0;

INLINE int generic_open(struct xdp_md *ctx, struct frame *f, struct generic_flow_key *k, struct generic_flow *fresh)
{
	struct generic_permit_key permit = {word(f->addresses), word(f->addresses + 2), f->dport, f->proto};
	struct bpf_fib_lookup fib = {.family = 2, .l4_protocol = f->proto};

	if (!bpf_map_lookup_elem(&generic_permits, &permit))
		return 0;
	fib.ifindex = ctx->ingress_ifindex;
	fib.ipv4_src = word(f->addresses);
	fib.ipv4_dst = word(f->addresses + 2);
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	fresh->device = fib.ifindex;
	__builtin_memcpy(fresh->dmac, fib.dmac, 6);
	__builtin_memcpy(fresh->smac, fib.smac, 6);
	return !bpf_map_update_elem(&generic_flows, k, fresh, BPF_ANY);
}

INLINE int generic_send(struct xdp_md *ctx, struct frame *f, struct generic_flow *flow)
{
	__u32 check = f->ip_check;

	flow->last = bpf_ktime_get_coarse_ns();
	flow->packets++;
	flow->bytes += ctx->data_end - ctx->data;
	check += bpf_htons(0x0100);
	f->ip_check = check + (check >= 0xffff);
	f->ttl--;
	__builtin_memcpy(f->dmac, flow->dmac, 6);
	__builtin_memcpy(f->smac, flow->smac, 6);
	return bpf_redirect(flow->device, 0);
}

SEC("xdp")
int generic(struct xdp_md *ctx)
{
	struct frame *f = (void *)(long)ctx->data;
	struct generic_flow *flow, fresh = {};
	struct generic_flow_key key;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	if (f->type != bpf_htons(0x0800) || f->version != 0x45 || f->fragment & bpf_htons(0x3fff) || f->ttl <= 1)
		return XDP_DROP;
	key.src = word(f->addresses);
	key.dst = word(f->addresses + 2);
	key.sport = f->sport;
	key.dport = f->dport;
	key.proto = f->proto;
	flow = bpf_map_lookup_elem(&generic_flows, &key);
	if (flow)
		return generic_send(ctx, f, flow);
	if (!generic_open(ctx, f, &key, &fresh)) {
		generic_refused++;
		return XDP_DROP;
	}
	return generic_send(ctx, f, &fresh);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
