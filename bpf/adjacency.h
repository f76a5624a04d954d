/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Adjacencies: how frames for one next hop leave, found out once a second for all flows that share it. A flow holds their
 * numbers, never a MAC. One is made only after an allow and an answer of the kernel's routing table that the destination's
 * class permits, so what a packet could choose makes none; there are never more than the kernel has neighbours in use.
 *
 * Life: the full path settles one and writes what the kernel says; a flow's fast path uses it for ADJACENCY_TRUST at most,
 * then one packet takes the full path again. It is given to another next hop only when nobody used it for longer than any
 * flow can live. Numbers are given in a row, so that those in use lie close together whatever their number; a table by a
 * keyed hash of the next hop, with a window of entries, says which is whose. When the window is full, flows work without
 * one, by the full path.
 *
 * A registered MAC belongs to the key: it never changes in place. So a flow that was bound to a registered station does not
 * follow the kernel's neighbour table. Other MACs follow it.
 *
 * Races: two CPUs may make the same one twice; both are right, the first is found from then on. Who finds an entry of the
 * index taken while it enters its own goes without for this packet. MACs are written as
 * whole words, and the express lane reads them so; elsewhere one may be seen that is half the former one, for one packet. Refreshing at the same time writes the same. A flow keeps the number of an entry
 * that was given away only if it was idle that long; its line is then past its recheck_at and not believed.
 */
#ifndef SEKISHO_ADJACENCY_H
#define SEKISHO_ADJACENCY_H

#include "quota.h"

#define ADJACENCIES 65536
#define ADJACENCY_WINDOW 8
#define ADJACENCY_TRUST hz
#define ADJACENCY_LIFE (7300 * hz) /* longer than a flow can be idle */

#define STACK_PORT 1 /* by the port itself, without a tag */
#define STACK_VLAN 2 /* by the kernel's device for the tags */

/* vlan and outer lie in one word, which others ask whether there is a tag at all. */
struct adjacency {
	__u32 claim; /* enum life */
	__u32 used;  /* ticks, to about a second */
	__u32 refreshed;
	__u32 confirmed; /* ticks: when a packet last went up the stack, so that the kernel asks its neighbour */
	__u64 to;        /* destination MAC, in its last two bytes the MTU */
	__u64 from;      /* source MAC, in its last two bytes the device's number */
	__u32 ifindex;
	__u16 vlan;
	__u16 outer;
	union addr hop;
	__u8 registered; /* the destination MAC is that of a registered station */
	__u8 stack; /* can packets go up the stack instead: 0 no, the kernel has no device for these tags; STACK_* */
	__u8 former
		[MAC_LEN]; /* of a draft: the destination MAC before, when the kernel has named another one; else zero */
};

/* By number, from 1; of entry 0 only `used` means something: how many numbers were given. Written by the full path, read by
 * the fast path and (mapped) the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ADJACENCIES);
	__type(key, __u32);
	__type(value, struct adjacency);
	__uint(map_flags, BPF_F_MMAPABLE);
} adjacencies SEC(".maps");

/* The numbers by the hash of the next hop; 0: free. Written and read by the full path. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ADJACENCIES);
	__type(key, __u32);
	__type(value, __u32);
} adjacency_index SEC(".maps");

#define INDEX_TAKEN (~0u) /* somebody enters a number */

/* What the full path has found out, for adjacency_settle. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct adjacency);
} adjacency_drafts SEC(".maps");

/* By twice the number of the device, and one more for IPv6: when the kernel last led a packet on that came in there, in ticks;
 * 0: never. Adjacencies are shared by all devices, but the kernel may have been told not to forward what comes from one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * MAX_DEVICES);
	__type(key, __u32);
	__type(value, __u32);
} led_on SEC(".maps");

INLINE void lead_on(__u32 device, __u32 family)
{
	__u32 number = 2 * device + (family != FAMILY_IP4), now = ticks();
	__u32 *when = bpf_map_lookup_elem(&led_on, &number);

	if (when && *when != now)
		*when = now ? now : 1;
}

/* Did the kernel lead a packet on from there lately? */
INLINE int leads_on(__u32 device, __u32 family, __u32 now)
{
	__u32 number = 2 * device + (family != FAMILY_IP4);
	__u32 *when = bpf_map_lookup_elem(&led_on, &number);

	return when && *when && now - *when < ADJACENCY_TRUST;
}

/* Ticks between two packets of one adjacency that go up the stack, so that the kernel confirms its neighbour: with redirects
 * alone it would never notice that one has another MAC now. 0: none does (tests of single packets). */
const volatile __u32 confirm_every = 250;

#define MAC_MASK 0xffffffffffffULL

INLINE __u64 mac_word(const __u8 *mac, __u16 more)
{
	return (__u64)mac[0] | (__u64)mac[1] << 8 | (__u64)mac[2] << 16 | (__u64)mac[3] << 24 | (__u64)mac[4] << 32 |
	       (__u64)mac[5] << 40 | (__u64)more << 48;
}

INLINE int same_adjacency(const struct adjacency *a, const struct adjacency *b)
{
	if (a->claim != LIFE_LIVE || a->registered != b->registered || a->from >> 48 != b->from >> 48)
		return 0;
	if (a->vlan != b->vlan || a->outer != b->outer || !same_addr(&a->hop, &b->hop))
		return 0;
	return !a->registered || !((a->to ^ b->to) & MAC_MASK);
}

INLINE void adjacency_refresh(struct adjacency *a, const struct adjacency *draft, __u32 now)
{
	*(volatile __u64 *)&a->to = draft->to;
	*(volatile __u64 *)&a->from = draft->from;
	a->ifindex = draft->ifindex;
	a->stack = draft->stack;
	a->refreshed = now;
	a->used = now;
}

/* Notes in a draft whether the next hop has moved since an entry was refreshed. */
INLINE void adjacency_compare(const struct adjacency *a, struct adjacency *draft)
{
	__u64 known = a->to;

	if ((known ^ draft->to) & MAC_MASK)
		__builtin_memcpy(draft->former, &known, MAC_LEN);
}

/* Writes the draft into an entry that nobody else has. */
INLINE void adjacency_enter(struct adjacency *a, const struct adjacency *draft, __u32 now)
{
	a->vlan = draft->vlan;
	a->outer = draft->outer;
	a->hop = draft->hop;
	a->registered = draft->registered;
	a->confirmed = now - confirm_every; /* the next packet */
	adjacency_refresh(a, draft, now);
	__sync_lock_test_and_set(&a->claim, LIFE_LIVE);
}

/* A number that nobody had yet; 0: all are given. */
INLINE __u32 adjacency_number(void)
{
	__u32 zero = 0, number;
	struct adjacency *given = bpf_map_lookup_elem(&adjacencies, &zero);

	if (!given || given->used >= ADJACENCIES - 1)
		return 0;
	number = __sync_fetch_and_add(&given->used, 1) + 1;
	return number < ADJACENCIES ? number : 0;
}

/* Has nobody used it for so long that no flow holds its number? */
INLINE int adjacency_left(const struct adjacency *a, __u32 now)
{
	return a->claim == LIFE_LIVE && (__s32)(now - a->used) > (__s32)ADJACENCY_LIFE;
}

INLINE __u32 adjacency_hash(const struct adjacency *a)
{
	const volatile __u64 *k = hash_keys;

	return (k[0] + k[1] * a->hop.w[0] + k[2] * a->hop.w[1] + k[3] * a->hop.w[2] + k[4] * a->hop.w[3] +
		k[5] * (a->vlan | (__u32)a->outer << 16) + k[6] * (a->from >> 48)) >>
	       32;
}

/* Entry i of the window that begins at a hash. */
INLINE __u32 *index_entry(__u32 hash, __u32 i)
{
	__u32 at = (hash + i) & (ADJACENCIES - 1);

	return bpf_map_lookup_elem(&adjacency_index, &at);
}

/* The number of the one that this CPU's draft names, if the kernel was asked about it within ADJACENCY_TRUST; else 0. */
__attribute__((noinline)) __u32 adjacency_known(void)
{
	__u32 zero = 0, now = ticks(), i, hash;
	struct adjacency *draft = bpf_map_lookup_elem(&adjacency_drafts, &zero), *a;

	if (!draft)
		return 0;
	hash = adjacency_hash(draft);
#pragma clang loop unroll(disable)
	for (i = 0; i < ADJACENCY_WINDOW; i++) {
		__u32 *place = index_entry(hash, i), number;

		number = place ? *(volatile __u32 *)place : 0;
		if (!number)
			return 0;
		a = bpf_map_lookup_elem(&adjacencies, &number);
		if (a && same_adjacency(a, draft))
			return now - a->refreshed < ADJACENCY_TRUST ? number : 0;
	}
	return 0;
}

/* The number of this CPU's draft, entered or refreshed; 0: there is no room for it. */
__attribute__((noinline)) __u32 adjacency_settle(void)
{
	__u32 zero = 0, now = ticks(), number, i, hash, *place, *room = 0;
	struct adjacency *draft = bpf_map_lookup_elem(&adjacency_drafts, &zero), *a, *left = 0;

	if (!draft)
		return 0;
	hash = adjacency_hash(draft);
#pragma clang loop unroll(disable)
	for (i = 0; i < ADJACENCY_WINDOW; i++) {
		place = index_entry(hash, i);
		if (!place)
			return 0;
		number = *(volatile __u32 *)place;
		if (!number) {
			if (!left)
				room = place;
			break; /* behind a free entry nobody has entered any */
		}
		a = bpf_map_lookup_elem(&adjacencies, &number);
		if (!a)
			continue;
		if (same_adjacency(a, draft)) {
			if (adjacency_left(a, now)) { /* another CPU may be giving it away */
				__sync_lock_test_and_set(&a->used, now);
				if (!same_adjacency(a, draft))
					return 0;
			}
			adjacency_compare(a, draft);
			adjacency_refresh(a, draft, now);
			return number;
		}
		if (!left && adjacency_left(a, now)) {
			left = a;
			room = place;
		}
	}
	if (left) {
		number = *(volatile __u32 *)room;
		if (__sync_val_compare_and_swap(&left->claim, LIFE_LIVE, LIFE_CLAIMING) != LIFE_LIVE)
			return 0;
		if ((__s32)(now - left->used) <= (__s32)ADJACENCY_LIFE) { /* another CPU was here in between */
			left->claim = LIFE_LIVE;
			return 0;
		}
		adjacency_enter(left, draft, now);
		return number;
	}
	if (!room || __sync_val_compare_and_swap(room, 0, INDEX_TAKEN))
		return 0;
	number = adjacency_number();
	a = number ? bpf_map_lookup_elem(&adjacencies, &number) : 0;
	if (a)
		adjacency_enter(a, draft, now);
	__sync_lock_test_and_set(room, a ? number : 0);
	return a ? number : 0;
}

INLINE struct adjacency *adjacency_at(__u32 number)
{
	return number ? bpf_map_lookup_elem(&adjacencies, &number) : 0;
}

/* Somebody still needs it. */
INLINE void adjacency_used(struct adjacency *a, __u32 now)
{
	if (now - a->used > hz)
		a->used = now;
}

#endif
