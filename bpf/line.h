/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where flows lie. A flow is one line of 64 bytes (IPv6: two) in a set-associative array: the hash of its two ends names a
 * set of eight lines; a second hash names another set for what finds no room there; behind both stands a small exact table
 * that is looked at only while something lies in it.
 *
 * Which of the eight lines, says a word of eight fingerprints of eight bits beside the sets, 1/64 of them in size: so what a
 * packet needs to know of its flow is nearly always in one line, nothing branches by what is still on its way from memory,
 * and what is no flow is known without looking at a line. (Looking at the lines themselves one after the other, the first
 * one by two bits of the hash, cost 190 ns a packet at 64 k flows, of which half were branches guessed wrong.) A line's
 * fingerprint is written by whoever claimed the line, before it is live, and cleared before it is free; 0 is none.
 *
 * The hash is multilinear over the 32-bit words of the ends with 64-bit keys drawn at random when the pins are made: strongly
 * universal (Lemire and Kaser, Strongly Universal String Hashing is Fast, 2014), so nobody who does not know the keys can
 * choose ends that meet in one set more often than chance. Segments are not hashed, because a packet knows only that of its
 * source: flows that differ in nothing else meet in one set, but that takes one address in two segments, hence two policies.
 *
 * A line changes hands by its claim: free -> claiming -> live by whoever enters a flow, live -> claiming -> free by whoever
 * removes it, each first step by compare-and-swap, which also counts the sequence up. Nothing is locked. The races that stay:
 *
 *   - Two CPUs enter the same ends at once: two lines. Both were permitted; the first in the order of looking serves, the
 *     other counts against the quotas until it is over, as one that was never answered.
 *   - A CPU finds a line, and before it has read all of it the line is removed and given to other ends. It reads the claim
 *     again before it believes what it read (line_same), so it never decides by another flow's line.
 *   - The same between that second look and the counting: one packet is counted for the wrong flow and keeps that one from
 *     being over for one timeout. Who removes a line, or writes into one by which way it goes, looks whose it is right before;
 *     should it change hands in between, it is wrong for a minute at most (RECHECK_TIMELESS), and what goes astray then the
 *     egress program holds.
 *   - Two CPUs count one direction of a flow at once: one of the two packets is not counted. Two CPUs change its state at
 *     once: one change is missed, so that a TCP flow of which only that FIN or RST told the end stays for its idle timeout.
 *   - Entries of the overflow table are given back to the kernel's hash, whose memory serves the next: as above.
 */
#ifndef SEKISHO_LINE_H
#define SEKISHO_LINE_H

#include "types.h"

#define WAYS 8 /* lines in a set */
#define WAY_SHIFT 3
#define FLOW_OVERFLOW 4096
#define LINE_VERSION 2 /* layout 1 was the hash table of former.h */

enum life {
	LIFE_FREE = 0,
	LIFE_CLAIMING = 1,
	LIFE_LIVE = 2,
};

/* claim = sequence << 16 | layout version << 8 | life */
#define CLAIM_LIVE (LINE_VERSION << 8 | LIFE_LIVE)
#define CLAIM_STEP 0x10000

/* What happened to a flow so far, and how it is counted. */
#define FLOW_FIN_A 0x01
#define FLOW_FIN_B 0x02
#define FLOW_RST 0x04
#define FLOW_ANSWERED 0x08
#define FLOW_FROM_B 0x10      /* B is the initiator */
#define FLOW_STATION 0x20     /* counted in the initiator's entry of stations_use, */
#define FLOW_STATION_WAY 0x40 /* the second of its two */
#define FLOW_OUTSIDE 0x80     /* lies in flow_overflow */
#define FLOW_FOR_LIFE (FLOW_FROM_B | FLOW_STATION | FLOW_STATION_WAY | FLOW_OUTSIDE)

/* One flow for both directions: A is the end with the lower address. Read by dataplane/packet/flow.go, by offset. */
struct line {
	__u32 claim;
	__u32 tag; /* segment of A | segment of B << 10 | protocol << 20 | asker << 28 */
	__u32 a;   /* IPv4 address, or the last word of an IPv6 address */
	__u32 b;
	__u32 ports; /* of A | of B << 16; ICMP echo: the identifier, twice */
	__u32 epoch; /* of the tables that permitted it last */
	__u32 rule;
	__u8 state; /* FLOW_* */
	__u8 bwclass;
	__u8 zones; /* of A | of B << 4 */
	__u8 booked; /* by whole quarters of what the counters hold: packets of A, of B, bytes of A, of B, two bits each */
	__u32 last;         /* ticks: the last packet */
	__u32 recheck_at;   /* ticks: from here on the full path decides */
	__u16 adjacency[2]; /* towards A, towards B; 0: not known */
	__u32 packets[2];   /* sent by A, by B; runs over */
	__u32 bytes_low[2];
	__u16 bytes_high[2];
};

struct line6 {
	struct line head;
	__u32 a[4];
	__u32 b[4];
	__u8 spare[32];
};

struct set4 {
	struct line way[WAYS];
};

struct set6 {
	struct line6 way[WAYS];
};

/* Flows of IPv4. Programs write, the loader reads (mapped). The loader sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct set4);
	__uint(map_flags, BPF_F_MMAPABLE);
} flows4 SEC(".maps");

/* Flows of IPv6, likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct set6);
	__uint(map_flags, BPF_F_MMAPABLE);
} flows6 SEC(".maps");

/* By number of the set: the fingerprints of its lines, a byte each. Programs only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flow_prints4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flow_prints6 SEC(".maps");

struct overflow_key {
	__u32 a[4];
	__u32 b[4];
	__u32 ports;
	__u32 tag;
};

/* What found no room in its two sets. Programs insert and remove, the loader reads. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOW_OVERFLOW);
	__type(key, struct overflow_key);
	__type(value, struct line6);
} flow_overflow SEC(".maps");

/* Where an entry of the overflow table is made before it is entered: the stack has no room for it. Programs of one CPU do
 * not interrupt each other (softirqs, or with softirqs off). */
struct overflow_draft {
	struct overflow_key key;
	struct line6 line;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct overflow_draft);
} overflow_drafts SEC(".maps");

/* How many flows live: exact, by atomics at each entering and removal. */
struct flow_use {
	__u32 live;
	__u32 overflow; /* of them in flow_overflow */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_use);
} flow_uses SEC(".maps");

/* 64-bit random numbers that the loader draws when the pins are made. Programs do not read this map but hash_keys; it keeps
 * the same numbers for the programs of the next start. */
#define HASH_WORDS 10
#define HASH_KEYS (2 * (HASH_WORDS + 1) + 2 * 6) /* two for a flow, two for a station */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[HASH_KEYS]);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} hash_seeds SEC(".maps");

/* Set by the loader, as the following. */
const volatile __u64 hash_keys[HASH_KEYS] = {};
const volatile __u32 flow_capacity = 0; /* live flows; the sets hold more */
const volatile __u32 flow_sets4 = 1;
const volatile __u32 flow_sets6 = 1;

#define SEGMENT_BITS 10
#define SEGMENT_MASK (MAX_SEGMENTS - 1)
#define TAG_PROTO 20
#define TAG_ASKER 28
#define TAG_ENDS (~0u << TAG_PROTO) /* what is not segments */

/* The two ends of a packet's flow, and where it would lie. */
struct ends {
	__u32 a[4]; /* IPv4: only the last word is set */
	__u32 b[4];
	__u32 ports;
	__u32 tag;
	__u32 mask;   /* bits of tag that are known */
	__u32 hash;   /* names the set, and the fingerprint in it */
	__u32 family; /* enum family */
	__u32 by_b;   /* 1: the packet's source is B */
};

INLINE struct flow_use *flow_use(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&flow_uses, &zero);
}

/* The hash of a multilinear sum. Ends are often numbered in a row, and a sum over keys puts rows into rows, which may meet
 * in few sets; the bits are stirred so that they do not. */
INLINE __u32 stirred(__u64 sum)
{
	sum ^= sum >> 32;
	return sum * 0xd6e8feb86659fd93ULL >> 32;
}

/* Multilinear over the ends; keys: HASH_WORDS + 1 of them. */
INLINE __u32 hash_ends(const struct ends *e, const volatile __u64 *keys)
{
	__u64 h =
		keys[0] + keys[1] * e->a[3] + keys[2] * e->b[3] + keys[3] * e->ports + keys[4] * (e->tag >> TAG_PROTO);

	if (e->family == FAMILY_IP6) {
		h += keys[5] * e->a[0] + keys[6] * e->a[1] + keys[7] * e->a[2];
		h += keys[8] * e->b[0] + keys[9] * e->b[1] + keys[10] * e->b[2];
	}
	return stirred(h);
}

#define OTHER_KEYS (HASH_WORDS + 1)

INLINE int is_request(const struct packet *p)
{
	return p->type == (p->proto == PROTO_ICMP ? ICMP_REQUEST : ICMP6_REQUEST);
}

INLINE int is_reply(const struct packet *p)
{
	return p->type == (p->proto == PROTO_ICMP ? ICMP_REPLY : ICMP6_REPLY);
}

INLINE int is_icmp(const struct packet *p)
{
	return p->proto == PROTO_ICMP || p->proto == PROTO_ICMP6;
}

/* Words of the address in memory order: any order does that is the same for both directions. */
INLINE int source_is_b(const struct packet *p)
{
	int i;

	if (p->family != FAMILY_IP6)
		return p->src.w[3] > p->dst.w[3];
#pragma unroll
	for (i = 0; i < 3; i++) {
		if (p->src.w[i] != p->dst.w[i])
			return p->src.w[i] > p->dst.w[i];
	}
	return p->src.w[3] > p->dst.w[3];
}

/* The ends of a packet whose source lies in a segment; the other end's segment is not known yet. */
INLINE void ends_of(const struct packet *p, __u32 segment, struct ends *e)
{
	__u32 by_b = source_is_b(p);
	__u32 asker = 0;

	e->family = p->family;
	e->by_b = by_b;
	if (p->family == FAMILY_IP6) {
		__builtin_memcpy(e->a, by_b ? p->dst.w : p->src.w, sizeof(e->a));
		__builtin_memcpy(e->b, by_b ? p->src.w : p->dst.w, sizeof(e->b));
	} else {
		e->a[3] = by_b ? p->dst.w[3] : p->src.w[3];
		e->b[3] = by_b ? p->src.w[3] : p->dst.w[3];
	}
	e->ports = by_b ? p->dport | (__u32)p->sport << 16 : p->sport | (__u32)p->dport << 16;
	/* Of a question and the question back the replies must not be taken for each other: two flows. */
	if (is_icmp(p))
		asker = is_request(p) ? 1 + by_b : 2 - by_b;
	e->tag = asker << TAG_ASKER | (__u32)p->proto << TAG_PROTO |
		 (segment & SEGMENT_MASK) << (by_b ? SEGMENT_BITS : 0);
	e->mask = TAG_ENDS | SEGMENT_MASK << (by_b ? SEGMENT_BITS : 0);
	e->hash = hash_ends(e, hash_keys);
}

/* Now both segments are known. */
INLINE void ends_complete(struct ends *e, __u32 segment)
{
	e->tag |= (segment & SEGMENT_MASK) << (e->by_b ? 0 : SEGMENT_BITS);
	e->mask = ~0u;
}

INLINE int line_matches(const struct line *l, const struct ends *e)
{
	return l->a == e->a[3] && l->b == e->b[3] && l->ports == e->ports && !((l->tag ^ e->tag) & e->mask) &&
	       (__u16)l->claim == CLAIM_LIVE;
}

INLINE int line6_matches(const struct line6 *l, const struct ends *e)
{
	return line_matches(&l->head, e) && l->a[0] == e->a[0] && l->a[1] == e->a[1] && l->a[2] == e->a[2] &&
	       l->b[0] == e->b[0] && l->b[1] == e->b[1] && l->b[2] == e->b[2];
}

/* The set that a hash names among so many. */
INLINE __u32 set_of(__u32 hash, __u32 sets)
{
	return (__u64)hash * sets >> 32;
}

#define EACH_BYTE 0x0101010101010101ULL

INLINE __u64 fingerprint(__u32 hash)
{
	return hash & 0xff ? hash & 0xff : 0xff;
}

/* The highest bit of the lowest byte of word that is b, and perhaps some of those above it; 0: no byte is b. (The usual way
 * to look for a zero byte; a borrow may pretend one, but only above a real one.) */
INLINE __u64 bytes_equal(__u64 word, __u64 b)
{
	__u64 x = word ^ b * EACH_BYTE;

	return (x - EACH_BYTE) & ~x & EACH_BYTE << 7;
}

/* The way that a flow lies in when it was free: where one may look before one knows. */
INLINE __u32 favoured(__u32 hash)
{
	return hash >> 8 & (WAYS - 1);
}

/* Which byte has the lowest bit of found; found is not 0. Without a branch: it is as random as traffic. */
INLINE __u32 lowest_byte(__u64 found)
{
	return ((found & -found) >> 7) * 0x0001020304050607ULL >> 56;
}

/* Asks memory for the line that ends with this hash favour; nobody waits for it here. */
INLINE void ask_for_line4(__u32 hash)
{
	__u32 number = set_of(hash, flow_sets4);
	struct set4 *set = bpf_map_lookup_elem(&flows4, &number);

	if (set)
		(void)*(volatile __u64 *)&set->way[favoured(hash)];
}

/* Of the free ways in room, the one to take: the favoured one, or the lowest. */
INLINE __u32 way_to_take(__u64 room, __u32 hash)
{
	__u64 favourite = room & 0x80ULL << (favoured(hash) << 3);

	return lowest_byte(favourite ? favourite : room) & (WAYS - 1);
}

/*
 * The places of lines have numbers: PLACE_* | set << WAY_SHIFT | way. What looks for a line is a function of its own, which
 * the verifier judges once and not on each way by which a packet comes there; such functions return numbers only.
 */
#define PLACE4 (1ULL << 32)
#define PLACE6 (2ULL << 32)
#define PLACE_OVERFLOW (4ULL << 32)

/* The line of these ends in one set of IPv4: its place, or 0. */
INLINE __u64 find4(__u32 hash, const struct ends *e)
{
	__u32 number = set_of(hash, flow_sets4);
	struct set4 *set = bpf_map_lookup_elem(&flows4, &number);
	__u64 *prints = bpf_map_lookup_elem(&flow_prints4, &number), found;
	int i;

	if (!set || !prints)
		return 0;
	found = bytes_equal(*prints, fingerprint(hash));
#pragma clang loop unroll(disable)
	for (i = 0; i < WAYS && found; i++, found &= found - 1) {
		__u32 way = lowest_byte(found) & (WAYS - 1);

		if (line_matches(&set->way[way], e))
			return PLACE4 | (__u64)number << WAY_SHIFT | way;
	}
	return 0;
}

INLINE __u64 find6(__u32 hash, const struct ends *e)
{
	__u32 number = set_of(hash, flow_sets6);
	struct set6 *set = bpf_map_lookup_elem(&flows6, &number);
	__u64 *prints = bpf_map_lookup_elem(&flow_prints6, &number), found;
	int i;

	if (!set || !prints)
		return 0;
	found = bytes_equal(*prints, fingerprint(hash));
#pragma clang loop unroll(disable)
	for (i = 0; i < WAYS && found; i++, found &= found - 1) {
		__u32 way = lowest_byte(found) & (WAYS - 1);

		if (line6_matches(&set->way[way], e))
			return PLACE6 | (__u64)number << WAY_SHIFT | way;
	}
	return 0;
}

INLINE struct overflow_draft *overflow_draft(const struct ends *e)
{
	__u32 zero = 0;
	struct overflow_draft *d = bpf_map_lookup_elem(&overflow_drafts, &zero);

	if (!d)
		return 0;
	__builtin_memset(&d->key, 0, sizeof(d->key));
	d->key.a[3] = e->a[3];
	d->key.b[3] = e->b[3];
	if (e->family == FAMILY_IP6) {
		__builtin_memcpy(d->key.a, e->a, 12);
		__builtin_memcpy(d->key.b, e->b, 12);
	}
	d->key.ports = e->ports;
	d->key.tag = e->tag;
	return d;
}

/* The line at a place, or null. */
INLINE struct line *line_at(__u64 place, const struct ends *e)
{
	__u32 number = (__u32)place >> WAY_SHIFT, way = place & (WAYS - 1);

	if (place & PLACE4) {
		struct set4 *set = bpf_map_lookup_elem(&flows4, &number);

		if (!set)
			return 0;
		asm volatile("" : "+r"(way)); /* else clang reckons before it looks whether set is null */
		return &set->way[way & (WAYS - 1)];
	}
	if (place & PLACE6) {
		struct set6 *set = bpf_map_lookup_elem(&flows6, &number);

		if (!set)
			return 0;
		asm volatile("" : "+r"(way)); /* else clang reckons before it looks whether set is null */
		return &set->way[way & (WAYS - 1)].head;
	}
	if (place & PLACE_OVERFLOW) {
		struct overflow_draft *draft = overflow_draft(e);

		return draft ? bpf_map_lookup_elem(&flow_overflow, &draft->key) : 0;
	}
	return 0;
}

/* The place of the live line of these ends in the sets; 0: none there. */
__attribute__((noinline)) __u64 find_sets(const struct ends *e)
{
	__u64 place;

	if (!e)
		return 0;
	if (e->family == FAMILY_IP6) {
		place = find6(e->hash, e);
		return place ? place : find6(hash_ends(e, hash_keys + OTHER_KEYS), e);
	}
	place = find4(e->hash, e);
	return place ? place : find4(hash_ends(e, hash_keys + OTHER_KEYS), e);
}

/* The place of the live line of these ends; 0: none. Both segments must be known. */
__attribute__((noinline)) __u64 find(const struct ends *e)
{
	struct overflow_draft *draft;
	struct flow_use *use;
	struct line *l;
	__u64 place;

	if (!e)
		return 0;
	place = find_sets(e);
	if (place)
		return place;
	use = flow_use();
	if (!use || !use->overflow)
		return 0;
	draft = overflow_draft(e);
	l = draft ? bpf_map_lookup_elem(&flow_overflow, &draft->key) : 0;
	return l && (__u16)l->claim == CLAIM_LIVE ? PLACE_OVERFLOW : 0;
}

/* Takes a line that is free. */
INLINE int take_line(struct line *l)
{
	__u32 claim = l->claim;
	__u32 mine = ((claim + CLAIM_STEP) & ~0xffffu) | LINE_VERSION << 8 | LIFE_CLAIMING;

	if ((claim & 0xff) != LIFE_FREE || __sync_val_compare_and_swap(&l->claim, claim, mine) != claim)
		return 0;
	l->state = 0;
	return 1;
}

INLINE __u64 claim4(__u32 hash)
{
	__u32 number = set_of(hash, flow_sets4);
	struct set4 *set = bpf_map_lookup_elem(&flows4, &number);
	__u64 *prints = bpf_map_lookup_elem(&flow_prints4, &number), room;
	int i;

	if (!set || !prints)
		return 0;
	room = bytes_equal(*prints, 0);
#pragma clang loop unroll(disable)
	for (i = 0; i < WAYS && room; i++) {
		__u32 way = way_to_take(room, hash);

		room &= ~(0x80ULL << (way << 3));
		if (take_line(&set->way[way])) {
			((volatile __u8 *)prints)[way] = fingerprint(hash);
			return PLACE4 | (__u64)number << WAY_SHIFT | way;
		}
	}
	return 0;
}

INLINE __u64 claim6(__u32 hash, const struct ends *e)
{
	__u32 number = set_of(hash, flow_sets6);
	struct set6 *set = bpf_map_lookup_elem(&flows6, &number);
	__u64 *prints = bpf_map_lookup_elem(&flow_prints6, &number), room;
	int i;

	if (!set || !prints)
		return 0;
	room = bytes_equal(*prints, 0);
#pragma clang loop unroll(disable)
	for (i = 0; i < WAYS && room; i++) {
		__u32 way = way_to_take(room, hash);

		room &= ~(0x80ULL << (way << 3));
		struct line6 *l = &set->way[way];

		if (take_line(&l->head)) {
			__builtin_memcpy(l->a, e->a, sizeof(l->a));
			__builtin_memcpy(l->b, e->b, sizeof(l->b));
			((volatile __u8 *)prints)[way] = fingerprint(hash);
			return PLACE6 | (__u64)number << WAY_SHIFT | way;
		}
	}
	return 0;
}

/* Claims a line of its own for these ends and gives its place; 0: there is none. */
__attribute__((noinline)) __u64 claim(const struct ends *e)
{
	struct overflow_draft *draft;
	struct flow_use *use;
	__u64 place;
	__u32 other;

	if (!e)
		return 0;
	other = hash_ends(e, hash_keys + OTHER_KEYS);
	if (e->family == FAMILY_IP6) {
		place = claim6(e->hash, e);
		if (!place)
			place = claim6(other, e);
	} else {
		place = claim4(e->hash);
		if (!place)
			place = claim4(other);
	}
	if (place)
		return place;
	use = flow_use();
	draft = overflow_draft(e);
	if (!use || !draft)
		return 0;
	__builtin_memset(&draft->line, 0, sizeof(draft->line));
	draft->line.head.claim = LINE_VERSION << 8 | LIFE_CLAIMING;
	draft->line.head.state = FLOW_OUTSIDE;
	__builtin_memcpy(draft->line.a, draft->key.a, sizeof(draft->key.a));
	__builtin_memcpy(draft->line.b, draft->key.b, sizeof(draft->key.b));
	/* Counted before it is there: whoever does not find it must not believe the table empty. */
	__sync_fetch_and_add(&use->overflow, 1);
	if (!bpf_map_update_elem(&flow_overflow, &draft->key, &draft->line, BPF_NOEXIST))
		return PLACE_OVERFLOW;
	__sync_fetch_and_sub(&use->overflow, 1);
	return 0;
}

/* Is this still the line that was found with this claim? */
INLINE int line_same(const struct line *l, __u32 claim)
{
	return *(volatile __u32 *)&l->claim == claim;
}

/* Lets everybody see a line that is complete. */
INLINE void line_show(struct line *l)
{
	__sync_lock_test_and_set(&l->claim, (l->claim & ~0xffu) | LIFE_LIVE);
}

/* Takes the live line of these ends away from everybody; 0: somebody else has done it. */
INLINE int line_hide(struct line *l, const struct ends *e)
{
	__u32 claim = *(volatile __u32 *)&l->claim;

	if (l->a != e->a[3] || l->b != e->b[3] || l->ports != e->ports || l->tag != e->tag)
		return 0; /* it is another's by now */
	return (__u16)claim == CLAIM_LIVE &&
	       __sync_val_compare_and_swap(&l->claim, claim, claim + CLAIM_STEP - LIFE_LIVE + LIFE_CLAIMING) == claim;
}

/* Nobody looks at the line at this place any more. */
INLINE void clear_print(__u64 place)
{
	__u32 number = (__u32)place >> WAY_SHIFT;
	volatile __u8 *prints = place & PLACE4 ? bpf_map_lookup_elem(&flow_prints4, &number)
					       : bpf_map_lookup_elem(&flow_prints6, &number);

	if (prints)
		prints[place & (WAYS - 1)] = 0;
}

/* Gives back a line that was claimed or hidden; its low half becomes 0. */
INLINE void line_free(struct line *l, __u64 place, const struct ends *e)
{
	if (l->state & FLOW_OUTSIDE) {
		struct flow_use *use = flow_use();
		struct overflow_draft *draft = overflow_draft(e);

		if (draft)
			bpf_map_delete_elem(&flow_overflow, &draft->key);
		if (use)
			__sync_fetch_and_sub(&use->overflow, 1);
		return;
	}
	clear_print(place);
	__sync_lock_test_and_set(&l->claim, l->claim & ~0xffffu);
}

#endif
