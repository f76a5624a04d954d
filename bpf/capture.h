/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Captures: packets as they came in and what became of them, for as long as somebody looks. While nobody does, a packet pays
 * for reading one variable and testing it twice. (Programs that attach themselves only while
 * somebody looks would make even that free, but kernels that protect their text against change refuse them.)
 *
 * Each capture has a slot: a filter, a ring, and a bit in "watching" that the loader sets last. It clears the bit when the
 * capture ends; if it died, the first packet after the capture's time does. None of these maps is pinned: the programs of
 * the next loader begin with none.
 */
#ifndef SEKISHO_CAPTURE_H
#define SEKISHO_CAPTURE_H

#include "event.h"

#define CAPTURES 4    /* slots */
#define SNAP_MAX 2048 /* bytes of a packet that are kept, at most */

/* Bit by slot: a capture runs. Written by the loader, cleared here after its time. */
volatile __u32 watching = 0;

/* What a capture wants; what is 0 wants all, and everything must agree. Read by programs, written by the loader while the
 * slot's bit is clear. */
struct capture_filter {
	__u64 until;   /* CLOCK_MONOTONIC, ns: ends then */
	__u32 allowed; /* bit by enum hook: allowed packets are wanted there */
	__u32 dropped; /* the same for refused ones */
	__u32 reason;
	__u32 segment; /* source or destination */
	__u32 rules;   /* 1: only those in capture_rules */
	__u32 snap;    /* bytes of a packet that are kept */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CAPTURES);
	__type(key, __u32);
	__type(value, struct capture_filter);
} capture_filters SEC(".maps");

/* A rule that a slot wants. A number means another rule in other tables. */
struct capture_rule {
	__u32 slot;
	__u32 epoch;
	__u32 rule;
};

/* The rules of the records that are asked for. Written by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct capture_rule);
	__type(value, __u8);
} capture_rules SEC(".maps");

/* One packet. Read by dataplane/packet/capture.go, by offset; only as much of data as was captured is sent. */
struct captured {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u32 rule; /* that permits it; 0: none, or not known */
	__u32 epoch;
	__u32 ifindex;
	__u32 length;   /* of the packet */
	__u32 captured; /* bytes of data */
	__u16 from;     /* segments, 0: not known */
	__u16 to;
	__u16 tag; /* that the stack keeps beside the packet, and its protocol in network order; both 0: none */
	__u16 tag_proto;
	__u8 reason; /* 0: allowed */
	__u8 hook;
	__u8 pad[2];
	__u8 data[SNAP_MAX];
};

#define CAPTURED_HEAD 40

/* The packet at hand. A CPU handles one at a time: programs run with bottom halves off. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct captured);
} at_hand SEC(".maps");

struct capture_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
};

/* Rings by slot. The loader hangs one in while a capture runs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CAPTURES);
	__type(key, __u32);
	__array(values, struct capture_ring);
} capture_rings SEC(".maps");

/* Packets that the filter of a slot wanted and its ring refused. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CAPTURES);
	__type(key, __u32);
	__type(value, __u64);
} captures_lost SEC(".maps");

INLINE struct captured *packet_at_hand(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&at_hand, &zero);
}

/* Bytes to keep of so many, at least one, as the verifier wants it: 1..SNAP_MAX. */
INLINE __u32 kept(__u32 length)
{
	__u32 last = (length > SNAP_MAX ? SNAP_MAX : length) - 1;

	barrier_var(last);
	return (last & (SNAP_MAX - 1)) + 1;
}

/* Keeps the head of a frame as it came in: rewriting comes before its fate is known. */
__attribute__((noinline)) int keep_frame(struct xdp_md *ctx)
{
	struct captured *c = packet_at_hand();
	__u32 length = ctx->data_end - ctx->data, n = kept(length);

	if (!c)
		return 0;
	c->captured = 0;
	c->tag = 0;
	c->tag_proto = 0;
	if (length && !bpf_xdp_load_bytes(ctx, 0, c->data, n))
		c->captured = n;
	return 0;
}

__attribute__((noinline)) int keep_packet(struct __sk_buff *skb)
{
	struct captured *c = packet_at_hand();
	__u32 length = skb->len, n = kept(length);

	if (!c)
		return 0;
	c->captured = 0;
	c->tag = skb->vlan_present ? skb->vlan_tci : 0;
	c->tag_proto = skb->vlan_present ? skb->vlan_proto : 0;
	if (length && !bpf_skb_load_bytes(skb, 0, c->data, n))
		c->captured = n;
	return 0;
}

/* Gives the packet at hand to one capture, if its filter wants it. */
INLINE void give(struct captured *c, __u32 slot)
{
	struct capture_filter *f = bpf_map_lookup_elem(&capture_filters, &slot);
	struct capture_rule rule = {.slot = slot, .epoch = c->epoch, .rule = c->rule};
	void *ring = bpf_map_lookup_elem(&capture_rings, &slot);
	__u32 n = c->captured;

	if (!f || !ring)
		return;
	if (c->time > f->until) {
		__sync_fetch_and_and(&watching, ~(1U << slot));
		return;
	}
	if (!((c->reason ? f->dropped : f->allowed) >> (c->hook & 31) & 1))
		return;
	if ((f->reason && c->reason != f->reason) || (f->segment && c->from != f->segment && c->to != f->segment))
		return;
	if (f->rules && !bpf_map_lookup_elem(&capture_rules, &rule))
		return;
	if (n > f->snap)
		n = f->snap;
	if (n > SNAP_MAX)
		return;
	if (bpf_ringbuf_output(ring, c, CAPTURED_HEAD + n, 0)) {
		__u64 *lost = bpf_map_lookup_elem(&captures_lost, &slot);

		if (lost)
			(*lost)++;
	}
}

__attribute__((noinline)) int show_packet(void)
{
	struct captured *c = packet_at_hand();
	__u32 slot, slots = watching;

	if (!c)
		return 0;
	c->time = bpf_ktime_get_ns();
	for (slot = 0; slot < CAPTURES; slot++) {
		if (slots >> slot & 1)
			give(c, slot);
	}
	return 0;
}

/* Gives the packet at hand and its fate to whoever wants it. reason: 0 = allowed; segment: where it came from. */
INLINE void show(__u32 reason, enum hook hook, __u32 ifindex, __u16 segment, const struct packet *p)
{
	struct captured *c = packet_at_hand();

	if (!c)
		return;
	c->reason = reason;
	c->hook = hook;
	c->ifindex = ifindex;
	c->length = p->length;
	c->from = segment;
	c->to = p->to;
	c->rule = p->rule;
	c->epoch = p->epoch;
	show_packet();
}

#endif
