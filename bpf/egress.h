/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The second engine on the fast path. Written apart from the classifier and sharing none of its steps or tables: its own
 * parser, and tables that come from the anchors alone. Whatever the classifier decided, a packet leaves a port only if
 *   I4  its source lies in a segment that hangs on the port it came in by,
 *   I7  its destination lies in a segment that hangs on this port and the tags that the frame now carries,
 *   I1, I13  the zones of both may speak at all.
 */
#ifndef SEKISHO_EGRESS_H
#define SEKISHO_EGRESS_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "reason.h"

struct anchor_key {
	__u32 length; /* 32 + bits */
	__u32 family; /* network order: 4 or 6 */
	__u32 addr[4];
};

struct anchor {
	__u16 segment; /* the anchors' own numbering, 1.. */
	__u8 zone;
	__u8 pad;
};

/* Every prefix of the anchors. Written by the loader from the anchors file. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__type(key, struct anchor_key);
	__type(value, struct anchor);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} anchor_prefixes SEC(".maps");

struct anchor_port_key {
	__u32 ifindex;
	__u16 segment;
	__u16 vlan;
	__u16 outer;
	__u16 pad;
};

#define ANY_VLAN 0xffff /* more than a tag can say */

/* Which segments hang on which device and tags; and each once more with ANY_VLAN, because the tags that a packet came with
 * are gone when it leaves. Written by the loader at each scan. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct anchor_port_key);
	__type(value, __u32);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} anchor_ports SEC(".maps");

/* Bit "to" of zone_pairs[from]: a packet may be forwarded from the one to the other. Bit 8 + "to": the gate's own address
 * in the one may speak to the other. Written once by the loader and frozen. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
	/* Not BPF_F_RDONLY_PROG: the verifier refuses (ENOTSUPP) to read a frozen array of several entries that has it. */
} zone_pairs SEC(".maps");

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

static __always_inline struct anchor *anchor_of(const __u32 *addr, __u32 version)
{
	struct anchor_key key = {
		.length = 32 + 128,
		.family = bpf_htonl(version),
		.addr = {addr[0], addr[1], addr[2], addr[3]},
	};

	return bpf_map_lookup_elem(&anchor_prefixes, &key);
}

static __always_inline int hangs_on(__u16 segment, __u32 ifindex, __u16 vlan, __u16 outer)
{
	struct anchor_port_key key = {.ifindex = ifindex, .vlan = vlan, .outer = outer, .segment = segment};

	return bpf_map_lookup_elem(&anchor_ports, &key) != 0;
}

#define BY_FORWARDING 0
#define BY_THE_GATE 8

/* May these addresses leave by device "out"? in: ifindex of the device they came in by, 0 when not known here. how: BY_*. */
static __always_inline int may_leave(const struct leaving *l, __u32 in, __u32 out, __u32 how)
{
	struct anchor *src, *dst;
	__u32 zone, *pairs;

	src = anchor_of(l->src, l->version);
	if (!src)
		return DROP_EGRESS_SOURCE;
	dst = anchor_of(l->dst, l->version);
	if (!dst)
		return DROP_EGRESS_DESTINATION;
	if (!hangs_on(dst->segment, out, l->vlan, l->outer))
		return DROP_EGRESS_WRONG_PORT;
	if (in && !hangs_on(src->segment, in, ANY_VLAN, 0))
		return DROP_EGRESS_WRONG_SOURCE;
	zone = src->zone;
	pairs = bpf_map_lookup_elem(&zone_pairs, &zone);
	if (!pairs || dst->zone > 7 || !(*pairs >> (dst->zone + how) & 1))
		return DROP_EGRESS_ZONE_PAIR;
	return PASS;
}

#endif
