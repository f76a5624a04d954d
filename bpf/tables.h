/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The compiled policy: one frozen inner map per table and generation, two generations at most. A packet takes the switch
 * once and uses that generation to its end. The loader alone writes; it freezes an inner map before it reads it back and
 * hangs it here, and waits for all running programs after a switch before it touches the slot that was left.
 * (Inner maps state sizes, not types: clang 14 leaves types that only an inner map names incomplete.)
 */
#ifndef SEKISHO_TABLES_H
#define SEKISHO_TABLES_H

#include "types.h"

/* Which slot decides, with which epoch: slot in the low, epoch in the high 32 bits, written by one 64-bit store into the
 * shared page. 0 (epoch 0) means that no policy was loaded yet. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_MMAPABLE); /* a map that is read-only for programs cannot be mapped for writing */
} current_tables SEC(".maps");

struct segment_index_inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct segment_key));
	__uint(value_size, sizeof(__u32)); /* segment number; ports only, tunnels are found by source */
	__uint(map_flags, BPF_F_RDONLY_PROG);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct segment_index_inner);
} segment_index SEC(".maps");

struct segments_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SEGMENTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct segment));
	__uint(map_flags, BPF_F_RDONLY_PROG);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct segments_inner);
} segments SEC(".maps");

struct hosts_inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(union addr));
	__uint(value_size, sizeof(struct binding));
	__uint(map_flags, BPF_F_RDONLY_PROG);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct hosts_inner);
} hosts SEC(".maps");

struct prefixes_inner {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct prefix_key));
	__uint(value_size, sizeof(struct binding));
	__uint(map_flags, BPF_F_RDONLY_PROG | BPF_F_NO_PREALLOC);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct prefixes_inner);
} prefixes SEC(".maps");

struct stations_inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct station_key));
	__uint(value_size, sizeof(__u32));
	__uint(map_flags, BPF_F_RDONLY_PROG);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct stations_inner);
} stations SEC(".maps");

/* Dense: TCP ports, UDP ports, ICMP types, ICMPv6 types, other protocols by number. Value: port class, 0 = none. */
#define PORTS_UDP 65536
#define PORTS_ICMP 131072
#define PORTS_ICMP6 (PORTS_ICMP + 256)
#define PORTS_OTHER (PORTS_ICMP + 512)
#define PORTS_SIZE (PORTS_ICMP + 768)

struct ports_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS_SIZE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(map_flags, BPF_F_RDONLY_PROG);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct ports_inner);
} ports SEC(".maps");

/* Indexed by class number; as long as the greatest number. */
struct classes_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct address_class));
	__uint(map_flags, BPF_F_RDONLY_PROG | BPF_F_INNER_MAP);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct classes_inner);
} classes SEC(".maps");

struct cells_inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct cell_key));
	__uint(value_size, sizeof(struct cell));
	__uint(map_flags, BPF_F_RDONLY_PROG);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct cells_inner);
} cells SEC(".maps");

/* What is only for people (names, revision, records): JSON in pieces. No program reads it. */
struct notes_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 4096);
	__uint(map_flags, BPF_F_RDONLY_PROG | BPF_F_INNER_MAP);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct notes_inner);
} notes SEC(".maps");

/* What each rule allowed. The loader makes the entries, programs only add: rule numbers belong to one generation. */
struct rule_counts_inner {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct count));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__array(values, struct rule_counts_inner);
} rule_counts SEC(".maps");

/* The generation that one packet uses. */
struct tables {
	__u32 slot;
	__u32 epoch;
};

INLINE int tables_now(struct tables *t)
{
	__u32 zero = 0;
	volatile __u64 *now = bpf_map_lookup_elem(&current_tables, &zero);
	__u64 v;

	if (!now)
		return DROP_NO_POLICY;
	v = *now;
	t->slot = (__u32)v;
	t->epoch = v >> 32;
	return t->epoch ? PASS : DROP_NO_POLICY;
}

/* What is known of an address: the exact entry, else the longest prefix, else null. */
INLINE struct binding *locate(const struct tables *t, const union addr *a, __u8 family)
{
	struct prefix_key key = {.length = 32 + 128, .family = {0, 0, 0, family}};
	struct binding *found;
	void *table;

	table = bpf_map_lookup_elem(&hosts, &t->slot);
	if (!table)
		return 0;
	found = bpf_map_lookup_elem(table, a);
	if (found)
		return found;
	table = bpf_map_lookup_elem(&prefixes, &t->slot);
	if (!table)
		return 0;
	key.addr = *a;
	return bpf_map_lookup_elem(table, &key);
}

INLINE struct address_class *class_of(const struct tables *t, __u32 number)
{
	void *table = bpf_map_lookup_elem(&classes, &t->slot);
	struct address_class *c = table ? bpf_map_lookup_elem(table, &number) : 0;

	return c && c->kind ? c : 0;
}

INLINE struct segment *segment_of(const struct tables *t, __u32 number)
{
	void *table = bpf_map_lookup_elem(&segments, &t->slot);
	struct segment *s = table ? bpf_map_lookup_elem(table, &number) : 0;

	return s && s->device ? s : 0;
}

#endif
