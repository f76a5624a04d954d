/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 5 for fragments. The first one has all headers: it goes the whole way like any packet and, once it may leave, is
 * entered here. Later ones say nothing of ports: they pass by that entry alone, through the same segment, from the same MAC,
 * under the same tables, while its rule is in force, and take that and its bandwidth class. What comes before its first is refused (nothing is kept
 * waiting), and so is whatever claims bytes that are there already, so that no two hosts can put together different packets
 * from the same fragments (RFC 5722).
 *
 * An entry goes when its packet is complete, else after FRAGMENTS_LIVE. A full table refuses new packets in fragments and
 * harms no other. Fragments open and refresh flows through their first one only.
 */
#ifndef SEKISHO_FRAGMENT_H
#define SEKISHO_FRAGMENT_H

#include "flow.h"
#include "segment.h"

#define FRAGMENT_SPANS 8         /* pieces apart from each other, at most */
#define FRAGMENTS_LIVE (30 * hz) /* from the first one on */

/* All fragments of one packet: what RFC 791 and RFC 8200 tell packets apart by, and where they came in. */
struct fragment_key {
	union addr src;
	union addr dst;
	__u32 id;
	__u16 segment;
	__u8 proto; /* as the fragment header names it */
	__u8 pad;
};

/* Bytes from..to-1 have passed. 0, 0: not in use. */
struct span {
	__u16 from;
	__u16 to;
};

struct fragments {
	struct bpf_spin_lock lock; /* for all that follows */
	__u32 epoch;
	__u32 since; /* tick of the first one */
	__u32 rule;
	__u16 end; /* bytes of the whole; 0: the last one has not come */
	__u8 smac[MAC_LEN];
	__u8 bwclass;
	__u8 pad;
	__u16 room;         /* whoever holds the lock: a span is free or touched */
	struct span adding; /* whoever holds the lock */
	struct span spans[FRAGMENT_SPANS];
};

/* Packets of which some fragments have passed. Written by classify, tunnel_in and the tcx programs for what the gate sends;
 * removed by them and by the timer of collect.h. An entry that is removed may be another packet's at once, while a second
 * CPU still holds it: the worst case is that a piece of a packet that was complete already counts as one of the other,
 * permitted, packet, and that one is lost. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct fragment_key);
	__type(value, struct fragments);
} fragments SEC(".maps");

/* since may be ahead of now: another CPU wrote it since. */
INLINE int fragments_over(const struct fragments *e, __u32 now)
{
	return (__s32)(now - e->since) > (__s32)FRAGMENTS_LIVE;
}

INLINE void fragment_key_of(const struct packet *p, __u32 segment, struct fragment_key *k)
{
	k->src = p->src;
	k->dst = p->dst;
	k->id = p->piece_id;
	k->segment = segment;
	k->proto = p->piece_proto;
}

/* Enters a first fragment that may leave. Called for PIECE_FIRST, after every other step. */
INLINE int fragment_first(const struct tables *t, __u32 segment, const struct packet *p, const struct decision *d)
{
	struct fragment_key key = {};
	struct fragments fresh = {
		.epoch = t->epoch,
		.since = ticks(),
		.rule = d->rule,
		.bwclass = d->bwclass,
		.spans[0].to = p->piece_to,
	};
	struct fragments *e;
	long error;
	int known;

	__builtin_memcpy(fresh.smac, p->smac, MAC_LEN);
	fragment_key_of(p, segment, &key);
	e = bpf_map_lookup_elem(&fragments, &key);
	if (!e) {
		error = bpf_map_update_elem(&fragments, &key, &fresh, BPF_NOEXIST);
		if (!error)
			return PASS;
		/* Another CPU entered the same at the same time, or there is no room. */
		return error == -17 /* EEXIST */ ? DROP_FRAGMENT_OVERLAP : DROP_FRAGMENT_TABLE_FULL;
	}
	bpf_spin_lock(&e->lock);
	known = e->epoch == t->epoch && !fragments_over(e, fresh.since);
	if (!known) { /* a rest of another packet */
		e->epoch = fresh.epoch;
		e->since = fresh.since;
		e->rule = fresh.rule;
		e->end = 0;
		e->bwclass = fresh.bwclass;
		__builtin_memcpy(e->smac, fresh.smac, MAC_LEN);
		__builtin_memcpy(e->spans, fresh.spans, sizeof(e->spans));
	}
	bpf_spin_unlock(&e->lock);
	return known ? DROP_FRAGMENT_OVERLAP : PASS;
}

/* A number in memory, read anew each time: to the verifier it is any number on every round, and no round multiplies the ways
 * through those before it. */
INLINE __u16 anew(const __u16 *v)
{
	return *(const volatile __u16 *)v;
}

/* May the bytes of a piece be added, or are some of them there already, or behind the end, or are there too many pieces? */
INLINE int fragment_fits(struct fragments *e, const struct packet *p)
{
	int last = !p->piece_more;
	__u32 i;

	if (e->end && (last || p->piece_to > e->end))
		return 0;
	e->room = 0;
	for (i = 0; i < FRAGMENT_SPANS; i++) {
		__u16 from = anew(&p->piece_at), to = anew(&p->piece_to);
		__u16 low = anew(&e->spans[i].from), high = anew(&e->spans[i].to);

		if ((low < to && from < high) || (last && high > to))
			return 0;
		if (!high || high == from || low == to)
			*(volatile __u16 *)&e->room = 1;
	}
	return anew(&e->room);
}

/* Adds what fits; pieces that touch become one. */
INLINE void fragment_add(struct fragments *e, const struct packet *p)
{
	__u32 i;

	if (!p->piece_more)
		e->end = p->piece_to;
	e->adding.from = p->piece_at;
	e->adding.to = p->piece_to;
	for (i = 0; i < FRAGMENT_SPANS; i++) {
		struct span *s = &e->spans[i];

		if (!anew(&s->to))
			continue;
		if (anew(&s->to) == anew(&e->adding.from))
			*(volatile __u16 *)&e->adding.from = anew(&s->from);
		else if (anew(&s->from) == anew(&e->adding.to))
			*(volatile __u16 *)&e->adding.to = anew(&s->to);
		else
			continue;
		*(volatile __u16 *)&s->from = *(volatile __u16 *)&s->to = 0;
	}
	for (i = 0; i < FRAGMENT_SPANS; i++) {
		if (!anew(&e->spans[i].to)) {
			e->spans[i] = e->adding;
			break;
		}
	}
}

INLINE int fragments_complete(const struct fragments *e)
{
	__u32 i;

	for (i = 0; i < FRAGMENT_SPANS; i++) {
		if (anew(&e->end) && !anew(&e->spans[i].from) && anew(&e->spans[i].to) == anew(&e->end))
			return 1;
	}
	return 0;
}

/* Decides a later fragment. d gets rule and bandwidth class. The rule is asked before the lock is held, which no function may be
 * called under; when another packet has got the entry in between, by another rule, the piece is not that one's. */
INLINE int fragment_later(const struct tables *t, __u32 segment, const struct packet *p, struct decision *d)
{
	struct fragment_key key = {};
	__u32 now = ticks(), rule;
	struct fragments *e;
	int known, reason, added = 0, complete = 0;
	__u64 left;

	fragment_key_of(p, segment, &key);
	e = bpf_map_lookup_elem(&fragments, &key);
	if (!e)
		return DROP_FRAGMENT_NO_FIRST;
	rule = *(volatile __u32 *)&e->rule;
	reason = rule_in_force(t, rule, &left);
	bpf_spin_lock(&e->lock);
	known = e->epoch == t->epoch && e->rule == rule && !fragments_over(e, now) && same_mac(e->smac, p->smac);
	if (known && !reason) {
		added = fragment_fits(e, p);
		if (added) {
			fragment_add(e, p);
			complete = fragments_complete(e);
		}
		d->rule = e->rule;
		d->bwclass = e->bwclass;
	}
	bpf_spin_unlock(&e->lock);
	if (!known)
		return DROP_FRAGMENT_NO_FIRST;
	if (reason)
		return reason;
	if (!added)
		return DROP_FRAGMENT_OVERLAP;
	if (complete)
		bpf_map_delete_elem(&fragments, &key);
	return PASS;
}

/* For the timer: removes the entry of a packet that will not be completed any more. */
static long fragments_sweep(void *map, struct fragment_key *key, struct fragments *e, __u32 *now)
{
	if (fragments_over(e, *now))
		bpf_map_delete_elem(map, key);
	return 0;
}

#endif
