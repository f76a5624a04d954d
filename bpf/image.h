/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The compiled policy: one image, an array of 64 KiB chunks that the loader fills, freezes, reads back, has proven, and then
 * hangs into `images` by one update. A packet takes the image once and uses it to its end: whoever waits for the RCU grace
 * period that the update waits for knows that nobody reads the former one any more. Because the epoch stands in the image,
 * no permit of an old one can ever be stamped as of the new.
 *
 * Chunk 0 is struct image_head: all that the fast path needs, so that it costs one outer and one inner lookup. The tables
 * behind it follow each other in the order of the head, each from the beginning of a chunk; what is behind the last entry is
 * zero. No entry straddles a cache line or a chunk. All images have the same length, used or not: then the kernel makes each
 * lookup a few instructions in place; with BPF_F_INNER_MAP they could differ, and each were a call (10 ns, thirty times for a
 * flow's first packet).
 *
 * Programs check what a packet could choose. That a number in the image points to where it should was checked by the
 * decoder (dataplane/packet/decode*.go) on the frozen bytes.
 */
#ifndef SEKISHO_IMAGE_H
#define SEKISHO_IMAGE_H

#include "types.h"

#define IMAGE_MAGIC 0x324b5353 /* "SSK2" in memory */
#define IMAGE_VERSION 1
#define CHUNK_SHIFT 16
#define CHUNK (1 << CHUNK_SHIFT)
#define IMAGE_CHUNKS 512 /* 32 MiB */

/* Where a table lies. */
struct image_table {
	__u32 first;   /* chunk */
	__u32 count;   /* cuckoo: buckets of 64 bytes; else entries, with those that are not used */
	__u32 entries; /* in use */
	__u32 seed;    /* cuckoo: of the hash */
};

/* Which segments hang on a device, by its number. */
struct image_port {
	__u16 segment; /* of untagged frames; 0: none */
	__u16 vlans;   /* block of the first tag's VID; 0: none */
};

/* Dense numbers of what is not a port of TCP, UDP or SCTP: types of ICMP and ICMPv6, other protocols by number. */
#define SMALL_ICMP 0
#define SMALL_ICMP6 256
#define SMALL_OTHER 512
#define SMALL_SIZE 768

struct image_head {
	__u32 magic;
	__u32 version;
	__u32 epoch;  /* never 0 */
	__u32 chunks; /* of the whole image */
	struct image_table hosts4;
	struct image_table hosts6;
	struct image_table cells; /* end of the first cache line */
	struct image_table vlans;
	struct image_table nodes; /* of the prefix trie: 0 is the root of IPv4, 1 that of IPv6 */
	struct image_table prefixes;
	struct image_table ports;
	struct image_table classes;
	struct image_table rules;
	struct image_table stations;
	struct image_table notes; /* for people; count and entries: bytes */
	__u8 dscp[64];            /* bandwidth class by code point, for segments that trust it; 0: none */
	struct image_port devices[MAX_DEVICES];
	__u16 small[SMALL_SIZE]; /* port classes */
	struct window windows[MAX_WINDOWS];
	struct segment segments[MAX_SEGMENTS];
	struct limits limits[MAX_SEGMENTS]; /* of the segments of the same number */
};

_Static_assert(sizeof(struct image_head) <= CHUNK, "chunk 0 holds the head");
_Static_assert(sizeof(struct segment) == 32 && sizeof(struct window) == 32, "whole in a cache line");
_Static_assert(sizeof(struct address_class) == 64 && sizeof(struct cell) == 16 && sizeof(struct rule) == 16,
	       "whole in a line");
_Static_assert(__builtin_offsetof(struct image_head, vlans) == 64, "the tables of every decision share a line");
_Static_assert(__builtin_offsetof(struct image_head, dscp) % 64 == 0, "the code points are one line");
_Static_assert(__builtin_offsetof(struct image_head, segments) % 64 == 0, "segments begin a line");

/* A packet's way from port and tags to its segment: blocks of 4096 by VID. 0: none; below VLAN_INNER a segment; else the
 * block of the second tag's VID, whose entry 0 stands for frames that have no second tag. Block 0 is not used. */
#define VLAN_BLOCK_SHIFT 13 /* 8 KiB */
#define VLAN_INNER 0x8000

/* Exact addresses, two cuckoo tables: an address is in one of its two buckets. Class 0: not used. */
struct host4 {
	__u32 addr;
	struct binding binding;
};

struct host6 {
	union addr addr;
	struct binding binding;
	__u32 spare;
};

_Static_assert(sizeof(struct binding) == 12 && sizeof(struct host4) == 16 && sizeof(struct host6) == 32,
	       "buckets hold 4 and 2");

/* Prefixes by number from 1; the nodes of the trie name them. */
struct prefix {
	union addr addr; /* the decoder's; IPv4 in the last word of zeros */
	struct binding binding;
	__u8 bits;
	__u8 family; /* 4 or 6; 0: not used */
	__u16 spare;
};

_Static_assert(sizeof(struct prefix) == 32, "two in a line");

/* Nodes have 256 entries by the next byte of the address: 0 none, a prefix, or with NODE_CHILD the next node. */
#define NODE_SHIFT 10
#define NODE_CHILD 0x80000000

/* TCP, UDP and SCTP by destination port: port classes, 0 = none. */
#define PORTS_UDP 65536
#define PORTS_SCTP 131072
#define PORT_SHIFT 1

#define CLASS_SHIFT 6
#define RULE_SHIFT 4
#define PREFIX_SHIFT 5
#define BUCKET_SHIFT 6

struct image_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IMAGE_CHUNKS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, CHUNK);
	__uint(map_flags, BPF_F_RDONLY_PROG | BPF_F_MMAPABLE);
};

#define IMAGE_NOW 0
#define IMAGE_BY_EPOCH 1 /* and the one behind: the lowest bit of the epoch says which */

/* IMAGE_NOW: the image in force, or nothing before the first. The others hold it once more, at the place that its epoch
 * names, for functions that cannot be handed a map: the loader hangs an image in there first and takes the former one away
 * last, when every program that used it has ended. Written by the loader, read by every program. (Inner maps state sizes, not
 * types: clang 14 leaves types that only an inner map names incomplete.) */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct image_inner);
} images SEC(".maps");

/* What one rule allowed. Number 0 is no rule: its entry says which epoch's rules these are. */
struct rule_count {
	__u64 packets;
	__u64 bytes;
	__u32 last;  /* seconds since boot (CLOCK_MONOTONIC) when something was added last */
	__u32 epoch; /* in entry 0 */
};

struct rule_counts_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct rule_count));
	__uint(map_flags, BPF_F_INNER_MAP);
};

/* Counters by rule number, of the image with this and of that with the former epoch: the lowest bit of the epoch names the
 * slot, so that whoever still works with the former image counts there. Made anew by the loader before each image; programs
 * add, the loader reads. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct rule_counts_inner);
} rule_counts SEC(".maps");

/* The image that one packet uses. */
struct tables {
	void *image;
	const struct image_head *head;
	__u32 epoch;
};

INLINE int tables_now(struct tables *t)
{
	__u32 now = IMAGE_NOW, zero = 0;

	t->image = bpf_map_lookup_elem(&images, &now);
	if (!t->image)
		return DROP_NO_POLICY;
	t->head = bpf_map_lookup_elem(t->image, &zero);
	if (!t->head)
		return DROP_NO_POLICY;
	t->epoch = t->head->epoch;
	return PASS;
}

/* What lies at an offset in a chunk. The barrier keeps clang from adding before it has tested. */
INLINE void *image_at(const struct tables *t, __u32 chunk, __u64 offset)
{
	void *base = bpf_map_lookup_elem(t->image, &chunk);

	if (!base)
		return 0;
	asm volatile("" : "+r"(offset));
	return base + offset;
}

/* Entry i of a table whose entries have 1 << shift bytes; null only beyond the image's end. */
INLINE void *image_entry(const struct tables *t, const struct image_table *at, __u32 i, __u32 shift)
{
	return image_at(t, at->first + (i >> (CHUNK_SHIFT - shift)), (i & ((1 << (CHUNK_SHIFT - shift)) - 1)) << shift);
}

/* Spreads 64 bits over 64 bits; the loader's hash is the same. Keys come from the policy, not from packets: nobody outside
 * can choose which share a bucket. */
INLINE __u64 mix(__u64 x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93;
	x ^= x >> 32;
	return x;
}

/* The bucket that one half of a hash names. */
INLINE void *image_bucket(const struct tables *t, const struct image_table *at, __u32 half)
{
	return image_entry(t, at, (__u64)half * at->count >> 32, BUCKET_SHIFT);
}

/* 1 when x is 0, else 0, without a branch: whether and where a bucket holds a key is as random as traffic, and every branch
 * would be a way of its own to the verifier. The barriers keep clang from making one of it. */
INLINE __u32 is_zero(__u64 x)
{
	__u64 negative = -x;

	asm volatile("" : "+r"(negative));
	x |= negative;
	asm volatile("" : "+r"(x));
	return (x >> 63) ^ 1;
}

/* The image of an epoch, for functions that cannot be handed a map. */
INLINE int tables_of(struct tables *t, __u32 epoch)
{
	__u32 slot = IMAGE_BY_EPOCH + (epoch & 1), zero = 0;

	t->epoch = epoch;
	t->image = bpf_map_lookup_elem(&images, &slot);
	if (!t->image)
		return DROP_NO_POLICY;
	t->head = bpf_map_lookup_elem(t->image, &zero);
	return t->head && t->head->epoch == epoch ? PASS : DROP_NO_POLICY;
}

/* Looking up is done by functions of their own, which the verifier judges once, whoever calls them from wherever: inlined,
 * their ways would multiply with those of every step. Such a function can be handed numbers and memory, but no map: it finds
 * the image by the epoch. It gives the place of what it found: chunk in the high, offset in the low 32 bits; 0: nothing. */
INLINE __u64 place(const struct image_table *table, __u32 i, __u32 shift, __u32 within)
{
	__u32 chunk = table->first + (i >> (CHUNK_SHIFT - shift));

	return (__u64)chunk << 32 | (((i << shift) & (CHUNK - 1)) + within);
}

/* The binding of an exact IPv4 address, in network order. */
INLINE __u64 host4_in(const struct tables *t, __u32 addr)
{
	const struct image_table *table = &t->head->hosts4;
	__u64 hash = mix((__u64)table->seed << 32 | addr);
	__u32 way;

#pragma unroll
	for (way = 0; way < 2; way++, hash >>= 32) {
		__u32 bucket = (__u64)(__u32)hash * table->count >> 32, slot = 0, found = 0, i;
		struct host4 *entries = image_entry(t, table, bucket, BUCKET_SHIFT);

		if (!entries)
			return 0;
#pragma unroll
		for (i = 0; i < 4; i++) {
			__u32 equal = is_zero(entries[i].addr ^ addr) & ~is_zero(entries[i].binding.class);

			found |= equal;
			slot |= -equal & i;
		}
		if (found)
			return place(table, bucket, BUCKET_SHIFT,
				     slot * sizeof(struct host4) + __builtin_offsetof(struct host4, binding));
	}
	return 0;
}

__attribute__((noinline)) __u64 place_of_host4(__u32 epoch, __u32 addr)
{
	struct tables t;

	return tables_of(&t, epoch) ? 0 : host4_in(&t, addr);
}

/* The binding of an exact IPv6 address. */
__attribute__((noinline)) __u64 place_of_host6(__u32 epoch, const union addr *a)
{
	const struct image_table *table;
	struct tables t;
	__u64 hash;
	__u32 way;

	if (!a || tables_of(&t, epoch))
		return 0;
	table = &t.head->hosts6;
	hash = mix(((__u64)a->w[1] << 32 | a->w[0]) ^ table->seed);
	hash = mix(hash ^ ((__u64)a->w[3] << 32 | a->w[2]));
	for (way = 0; way < 2; way++, hash >>= 32) {
		__u32 bucket = (__u64)(__u32)hash * table->count >> 32, slot = 0, found = 0, i;
		struct host6 *entries = image_entry(&t, table, bucket, BUCKET_SHIFT);

		if (!entries)
			return 0;
#pragma unroll
		for (i = 0; i < 2; i++) {
			const union addr *b = &entries[i].addr;
			__u32 equal = is_zero((b->w[0] ^ a->w[0]) | (b->w[1] ^ a->w[1]) | (b->w[2] ^ a->w[2]) |
					      (b->w[3] ^ a->w[3])) &
				      ~is_zero(entries[i].binding.class);

			found |= equal;
			slot |= -equal & i;
		}
		if (found)
			return place(table, bucket, BUCKET_SHIFT,
				     slot * sizeof(struct host6) + __builtin_offsetof(struct host6, binding));
	}
	return 0;
}

/* The binding of the longest prefix around an address; at most 4 or 16 steps down the trie. */
__attribute__((noinline)) __u64 place_of_prefix(__u32 epoch, const union addr *a, __u32 family)
{
	__u32 v = NODE_CHILD | (family != FAMILY_IP4);
	__u32 i = family == FAMILY_IP4 ? 12 : 0;
	struct tables t;

	if (!a || tables_of(&t, epoch))
		return 0;
#pragma clang loop unroll(disable)
	for (; i < 16 && v & NODE_CHILD; i++) {
		__u32 *entries = image_entry(&t, &t.head->nodes, v & 0xffff, NODE_SHIFT);

		v = entries ? entries[a->b[i & 15]] : 0;
	}
	if (!v || v & NODE_CHILD)
		return 0;
	return place(&t.head->prefixes, v, PREFIX_SHIFT, __builtin_offsetof(struct prefix, binding));
}

/* The binding at a place, or null. Bindings lie on a multiple of 16 or 4 bytes behind one: whatever is masked so, a whole one
 * follows. */
INLINE struct binding *binding_at(const struct tables *t, __u64 at)
{
	return at ? image_at(t, at >> 32, at & (CHUNK - sizeof(struct binding))) : 0;
}

/* What is known of an address: the exact entry, else the longest prefix, else null. */
INLINE struct binding *locate(const struct tables *t, const union addr *a, __u8 family)
{
	__u64 at = family == FAMILY_IP4 ? place_of_host4(t->epoch, a->w[3]) : place_of_host6(t->epoch, a);

	if (!at)
		at = place_of_prefix(t->epoch, a, family);
	return binding_at(t, at);
}

INLINE struct address_class *class_of(const struct tables *t, __u32 number)
{
	const struct image_table *at = &t->head->classes;
	struct address_class *c = number < at->count ? image_entry(t, at, number, CLASS_SHIFT) : 0;

	return c && c->kind ? c : 0;
}

INLINE struct segment *segment_of(const struct tables *t, __u32 number)
{
	struct segment *s = (struct segment *)&t->head->segments[number & (MAX_SEGMENTS - 1)];

	return number < MAX_SEGMENTS && s->device ? s : 0;
}

/* When a rule is in force; null when the image has no such rule. */
INLINE struct rule *rule_of(const struct tables *t, __u32 number)
{
	const struct image_table *at = &t->head->rules;
	struct rule *r = number < at->count ? image_entry(t, at, number, RULE_SHIFT) : 0;

	return r && r->used ? r : 0;
}

/* The minutes of the week of a window; null when the image has no such window (0 has none: it means always). */
INLINE struct window *window_of(const struct tables *t, __u8 number)
{
	struct window *w = (struct window *)&t->head->windows[number];

	return w->spans[0].to ? w : 0;
}

/* Books packets that a rule of an epoch allowed; bytes of whole frames. Of an epoch that has no counters any more: nothing. */
INLINE void rule_used(__u32 epoch, __u32 rule, __u64 packets, __u64 bytes)
{
	__u32 slot = epoch & 1, zero = 0;
	void *counts = bpf_map_lookup_elem(&rule_counts, &slot);
	struct rule_count *c = counts ? bpf_map_lookup_elem(counts, &zero) : 0;

	if (!c || c->epoch != epoch || !rule)
		return;
	c = bpf_map_lookup_elem(counts, &rule);
	if (!c)
		return;
	__sync_fetch_and_add(&c->packets, packets);
	__sync_fetch_and_add(&c->bytes, bytes);
	c->last = bpf_ktime_get_ns() / 1000000000;
}

#endif
