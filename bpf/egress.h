/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The second engine on the fast path. Written apart from the classifier and sharing none of its steps or tables: its own
 * parser, and tables that come from the anchors alone. Whatever the classifier decided, a packet leaves a port only if
 *   I4  its source lies in a segment that hangs on the port it came in by,
 *   I7  its destination lies in a segment that hangs on this port and the tags that the frame now carries, or on a tunnel of
 *       the same bundle,
 *   I1, I13  the zones of both may speak at all,
 * and neither of them is cut off.
 */
#ifndef SEKISHO_EGRESS_H
#define SEKISHO_EGRESS_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "reason.h"

struct anchor_key {
	__u32 length; /* 8 * 16 at most */
	__u32 addr[4];
};

/* Whose a prefix is. All zero: nobody's. */
struct anchor {
	__u16 segment; /* the anchors' own numbering, 1.. */
	__u8 zone;
	__u8 more; /* the answer needs the next byte of the address: segment is then the number of a node */
};

/* The IPv6 prefixes of the anchors. Written by the loader from the anchors file. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__type(key, struct anchor_key);
	__type(value, struct anchor);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} anchor_prefixes6 SEC(".maps");

/* Those of IPv4, by the first two bytes of an address; and nodes for the third and the fourth, from 1. A packet asks twice,
 * and a trie took 30 ns each time. Written by the loader, likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct anchor);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} anchor_prefixes4 SEC(".maps");

struct anchor_node {
	struct anchor next[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct anchor_node);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} anchor_nodes4 SEC(".maps");

/* Where a segment hangs. */
struct anchor_home {
	__u32 ifindex; /* or a bundle. 0: nowhere, nothing may leave there or have come from there */
	__u16 vlan;
	__u16 outer;
};

/* By the anchors' number of the segment. Written by the loader at each scan. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2048);
	__type(key, __u32);
	__type(value, struct anchor_home);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} anchor_homes SEC(".maps");

/* Tunnel devices that share segments, by ifindex: what the homes of all these segments name instead of a device. Asked only
 * where a segment does not hang right there. Written by the loader at each scan. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} anchor_bundles SEC(".maps");

/* Bit "to" of zone_pairs[from]: a packet may be forwarded from the one to the other. Bit 8 + "to": the gate's own address
 * in the one may speak to the other. Written once by the loader and frozen. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
	/* Not BPF_F_RDONLY_PROG: the verifier refuses (ENOTSUPP) to read a frozen array of several entries that has it. */
} zone_pairs SEC(".maps");

/* Bit by zone: people have cut it off. Written by the loader, before anything is guarded and whenever they do so. */
volatile __u32 zones_shut SEC(".data.egress") = 0;

/* The two addresses of a packet, as this parser reads them. */
struct leaving {
	__u32 src[4];
	__u32 dst[4];
	__u32 version;
	__u16 vlan;
	__u16 outer;
};

/* Reads the network header at p; 0 when there is none that can be trusted. */
static __always_inline int leaving_network(const __u8 *p, const void *end, struct leaving *l)
{
	const __u32 *word = (const void *)p;

	if ((const void *)(p + 20) > end)
		return 0;
	l->version = p[0] >> 4;
	if (l->version == 4) {
		l->src[2] = l->dst[2] = bpf_htonl(0xffff);
		l->src[3] = word[3];
		l->dst[3] = word[4];
		return (p[0] & 15) >= 5;
	}
	if (l->version != 6 || (const void *)(p + 40) > end)
		return 0;
	l->src[0] = word[2];
	l->src[1] = word[3];
	l->src[2] = word[4];
	l->src[3] = word[5];
	l->dst[0] = word[6];
	l->dst[1] = word[7];
	l->dst[2] = word[8];
	l->dst[3] = word[9];
	/* An IPv4 address in IPv6 clothes would be looked up as what it is not. */
	return !(l->src[0] == 0 && l->src[1] == 0) && !(l->dst[0] == 0 && l->dst[1] == 0);
}

/* Reads one tag at p into what is known: the tag before it becomes the outer one, and must be. 0: not to be trusted.
 * An identifier of 0 marks a priority only. */
static __always_inline int leaving_tag(const __u8 *p, struct leaving *l)
{
	__u16 id = (p[0] & 15) << 8 | p[1];

	if (!id)
		return 1;
	if (l->outer)
		return 0;
	l->outer = l->vlan;
	l->vlan = id;
	return 1;
}

/* Reads a frame; 0 when it is nothing that may be forwarded. beside: the kernel holds a tag of the frame outside of it (which
 * is in l already), with this EtherType; 0: none. */
static __always_inline int leaving_frame(const void *data, const void *end, __u32 beside, struct leaving *l)
{
	const __u8 *p = data;
	__u32 type, alone = l->vlan && beside == 0x88a8;

	if ((const void *)(p + 14) > end)
		return 0;
	type = p[12] << 8 | p[13];
	p += 14;
	if (type == 0x8100 || (type == 0x88a8 && !beside)) {
		if ((const void *)(p + 4) > end || !leaving_tag(p, l))
			return 0;
		alone |= type == 0x88a8 && l->vlan;
		type = p[2] << 8 | p[3];
		p += 4;
		if (type == 0x8100 && !beside) {
			if ((const void *)(p + 4) > end || !leaving_tag(p, l))
				return 0;
			type = p[2] << 8 | p[3];
			p += 4;
		}
	}
	/* A service tag stands around another. */
	if (alone && !l->outer)
		return 0;
	if (type != 0x0800 && type != 0x86dd)
		return 0;
	return leaving_network(p, end, l) && (l->version == 4) == (type == 0x0800);
}

/* Whose an IPv4 address is: the longest prefix around it. */
static __always_inline struct anchor *anchor_of4(__u32 addr)
{
	const __u8 *b = (const void *)&addr;
	__u32 top = b[0] << 8 | b[1], number;
	struct anchor *a = bpf_map_lookup_elem(&anchor_prefixes4, &top);
	struct anchor_node *node;
	int i;

#pragma unroll
	for (i = 2; i < 4; i++) {
		if (!a || !a->more)
			return a;
		number = a->segment;
		node = bpf_map_lookup_elem(&anchor_nodes4, &number);
		if (!node)
			return 0;
		a = &node->next[b[i]];
	}
	return a;
}

/* Whose an address is, or null. */
static __always_inline struct anchor *anchor_of(const __u32 *addr, __u32 version)
{
	struct anchor_key key = {.length = 128, .addr = {addr[0], addr[1], addr[2], addr[3]}};
	struct anchor *a = version == 4 ? anchor_of4(addr[3]) : bpf_map_lookup_elem(&anchor_prefixes6, &key);

	return a && a->segment && !a->more ? a : 0;
}

/* Where a segment hangs, or null. */
static __always_inline struct anchor_home *home_of(__u32 segment)
{
	struct anchor_home *home = bpf_map_lookup_elem(&anchor_homes, &segment);

	return home && home->ifindex ? home : 0;
}

/* Is a segment's home at this device, or at another of its bundle? */
static __always_inline int at_home(const struct anchor_home *home, __u32 ifindex)
{
	__u32 *bundle;

	if (home->ifindex == ifindex)
		return 1;
	bundle = bpf_map_lookup_elem(&anchor_bundles, &ifindex);
	return bundle && *bundle == home->ifindex;
}

#define BY_FORWARDING 0
#define BY_THE_GATE 8

/* May these addresses leave by device "out"? in: ifindex of the device they came in by, 0 when not known here. how: BY_*. */
static __always_inline int may_leave(const struct leaving *l, __u32 in, __u32 out, __u32 how)
{
	struct anchor *src, *dst;
	struct anchor_home *home;
	__u32 zone, *pairs;

	src = anchor_of(l->src, l->version);
	if (!src)
		return DROP_EGRESS_SOURCE;
	dst = anchor_of(l->dst, l->version);
	if (!dst)
		return DROP_EGRESS_DESTINATION;
	home = home_of(dst->segment);
	if (!home || !at_home(home, out) || home->vlan != l->vlan || home->outer != l->outer)
		return DROP_EGRESS_WRONG_PORT;
	/* The tags that the packet came with are gone. */
	home = home_of(src->segment);
	if (in && (!home || !at_home(home, in)))
		return DROP_EGRESS_WRONG_SOURCE;
	if ((zones_shut >> (src->zone & 31) | zones_shut >> (dst->zone & 31)) & 1)
		return DROP_ZONE_ISOLATED;
	zone = src->zone;
	pairs = bpf_map_lookup_elem(&zone_pairs, &zone);
	if (!pairs || dst->zone > 7 || !(*pairs >> (dst->zone + how) & 1))
		return DROP_EGRESS_ZONE_PAIR;
	return PASS;
}

#endif
