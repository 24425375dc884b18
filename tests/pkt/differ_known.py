# SPDX-License-Identifier: GPL-2.0-or-later
# differ_known.py - for differ.py: where npp and the kernel differ and may
#
# A rule looks at one step of a case: the event E, what was seen of npp (N) and of the kernel (K), the fields that
# differ. It returns those that it explains. A rule in ENDS tells that the two go their own ways from there.

ESTABLISHED, SYN_SENT, FW1, FW2, TW, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING = 1, 2, 4, 5, 6, 7, 8, 9, 11
EVERYTHING = {"rst", "syn", "dup", "acked", "sent", "fin", "call", "look", "sack", "tsecr", "zero", "ece", "has_ts", "size"}
SAID = {"said_seq", "said_len", "said_ack", "unacked", "quoted", "malformed", "call"}     # of one event


class Step:
    """What the rules look at."""

    def __init__(self, case, i, diff, npp, kernel, group):
        last = group[-1]
        self.case, self.i, self.diff = case, i, set(diff)
        self.e = case["plan"][i]
        self.flags = self.e.get("f", "-")
        self.n, self.k = npp[last], kernel[last]    # of all that came quickly
        if i != last:
            self.n, self.k = ({f: v for f, v in all_.items() if f not in SAID} | {f: v for f, v in x[i].items() if f in SAID}
                              for all_, x in ((self.n, npp), (self.k, kernel)))
        self.before = npp[i - 1] if i else {}
        self.state = state_of(self.before)
        self.seg, self.icmp = self.e["k"] == "seg", self.e["k"] == "icmp"
        self.earlier = case["plan"][:last + 1]
        self.small_window = any(e.get("wnd", 65535) < 2000 for e in self.earlier)
        self.unknown = self.before.get("look") == "none"    # the program has no socket of it
        self.past = npp[:last + 1]
        self.several = len(group) > 1
        self.half_open = half_open(npp[:i])
        self.fast = not case["active"] and 3 in (state_of(f) for f in kernel[max(i - 1, 0):last + 1])  # opened by its SYN

    def call(self, *names):
        return self.e["k"] == "app" and self.e["op"][0] in names


def state_of(f):
    look = f.get("look")
    return look[0] if isinstance(look, list) else None


def half_open(past):
    """Was a SYN answered, and has the program no socket of what came of it? (It may have a dead one of what was before.)"""
    answered = [j for j, f in enumerate(past) if any("S" in syn[0] and "A" in syn[0] for syn in f["syn"])]
    return bool(answered) and all(f["look"] == "none" or state_of(f) == CLOSE for f in past[answered[-1]:])


def malformed_options(s):
    """RFC 9293, 3.1, MUST-7 wants that they are survived; npp drops the segment, the kernel ignores the rest of them."""
    return EVERYTHING if any(f.get("malformed") for f in s.past) else ()


def neither_ack_nor_rst(s):
    """The kernel drops a segment without ACK, RST and SYN at once; RFC 9293, 3.10.7.4 looks at the sequence number
    first, and answers what is out of the window."""
    return {"dup", "sack", "ece"} if s.seg and not set("ARS") & set(s.flags) else ()


def text_after_fin(s):
    """RFC 9293, 3.10.7.4 (7): after its FIN text "should not occur" and is ignored; npp acknowledges what it has, the
    kernel is silent."""
    if s.seg and s.state in (CLOSE_WAIT, LAST_ACK, CLOSING):
        return {"dup", "sack", "tsecr"}
    return ()


def text_over_fin(s):
    """Text that overlaps the FIN that was taken: ignored, as above; the kernel resets the connection."""
    if s.seg and s.state in (CLOSE_WAIT, LAST_ACK, CLOSING) and s.k["rst"] and not s.n["rst"] and s.n.get("said_len"):
        return EVERYTHING
    return ()


def sack_of_fin(s):
    """The kernel reports the FIN itself as a byte, and drops a duplicate's report when it takes a FIN (RFC 2018, 3 and
    RFC 2883, 4 speak of data); npp does the reverse."""
    return {"sack"} if any("F" in e.get("f", "") for e in s.earlier) else ()


def window_edge(s):
    """The windows are not equally large, and npp cuts off what lies beyond (RFC 9293, 3.10.7.4: trim), where the kernel
    takes a segment that begins inside as a whole, or drops it."""
    if any(e.get("sb") == "E" for e in s.earlier) or any(f.get("said_seq", 0) >= 30000 for f in s.past):
        return {"sack", "dup", "acked", "look", "rst", "syn"} if s.seg else {"sack"}
    return ()


def without_timestamp(s):
    """RFC 7323, 3.2: dropped silently once timestamps are agreed; the kernel takes it."""
    agreed = s.case["ts"] or any("S" in e.get("f", "") and e.get("ts") == "force" for e in s.earlier)
    without = s.e.get("ts") == "none" or (not s.case["ts"] and s.e.get("ts") != "force")
    return EVERYTHING if s.seg and agreed and without and "R" not in s.flags else ()


def options_of_crossing_syn(s):
    """Simultaneous open: the kernel's SYN-ACK repeats the options of its SYN, whatever the peer's has; RFC 7323, 1.3 and
    2.2, RFC 2018, 2, RFC 3168, 6.1.1 let the SYN-ACK have only what the peer's SYN has."""
    if s.case["active"] and len(s.n["syn"]) == len(s.k["syn"]):
        if all(a[0].replace("E", "") == b[0] and a[1] == b[1] and set(a[2]) <= set(b[2]) for a, b in zip(s.n["syn"], s.k["syn"])):
            return {"syn"}
    return ()


def info_of_crossing_syn(s):
    """npp's TCP_INFO says SYN_SENT until the connection is open."""
    n, k = s.n.get("look"), s.k.get("look")
    return {"look"} if isinstance(n, list) and isinstance(k, list) and (n[0], k[0]) == (2, 3) and n[1:] == k[1:] else ()


def cookie_given_again(s):
    """RFC 7413, 4.2.2 (3): the SYN-ACK that answers a good cookie may have one; the kernel's has if it was made of an older key."""
    return {"syn"} if len(s.n["syn"]) == len(s.k["syn"]) and all(
        a[:3] == b[:3] and a[3] and not b[3] for a, b in zip(s.n["syn"], s.k["syn"])) else ()


def info_of_fast_open(s):
    """A connection opened by its SYN: npp's TCP_INFO says ESTABLISHED, and SIOCINQ what the SYN brought; the kernel says
    SYN_RECV, and 0, until the handshake is over."""
    n, k = s.n.get("look"), s.k.get("look")
    return {"look"} if s.fast and isinstance(n, list) and isinstance(k, list) and (n[0], k[0], n[1]) == (1, 3, k[1]) else ()


def ect_of_syn(s):
    """A SYN that is itself ECN-capable: RFC 3168, 6.1.1 had none, RFC 8311, 4.3 lets there be; the kernel does without ECN."""
    marked = any("S" in e.get("f", "") and e.get("tos", 0) & 3 for e in s.earlier)
    return {"syn"} if marked and [(a[0].replace("E", ""),) + a[1:] for a in s.n["syn"]] == s.k["syn"] else ()


def mtu_of_zero(s):
    """A router that does not say how much is too big: npp takes the next smaller usual size (RFC 1191, 5), the kernel 552 bytes."""
    return {"size"} if any(e["k"] == "icmp" and e.get("rest") == 0 and e["type"] in (2, 3) for e in s.earlier) else ()


def fin_of_fast_open(s):
    """close() before the handshake is over: npp keeps its FIN until then (RFC 9293, 3.10.4: "queue for processing"), the
    kernel sends it if it is close(), not shutdown()."""
    closed = any(e.get("op", [""])[0] == "close" for e in s.earlier)
    return EVERYTHING if closed and s.case["port"] == 7001 and s.k["fin"] and not s.n["fin"] else ()


def echo_in_half_open(s):
    """The kernel takes no ACK for a half-open connection whose timestamp is not that of a SYN-ACK, be it that of an ACK that
    it has sent meanwhile, and is silent if it has a RST."""
    again = any(f["dup"] for f in s.past) or s.e.get("ts", "").startswith("ecr")
    return EVERYTHING if s.seg and s.half_open and s.case["ts"] and again and (s.k["dup"] or "R" in s.flags) else ()


def one_ack_for_several(s):
    """What comes quickly may be answered by one ACK (RFC 9293, 3.8.6.3)."""
    if s.several and ((s.n["rst"] and s.k["rst"]) or state_of(s.n) == state_of(s.k) == CLOSE):
        return {"dup", "acked"}     # or by a reset, or none if it was reset
    return {"dup"} if s.several and s.n["acked"] != s.past[0]["acked"] else ()


def black_hole(s):
    """After three timeouts npp tries smaller segments (RFC 4821, 7.7), the kernel only with net.ipv4.tcp_mtu_probing."""
    waited = len(s.past) > 3 and s.past[-2]["sent"] == s.past[-4]["sent"] and (s.past[-2]["sent"] or 0) > 1
    return {"size"} if waited and s.n.get("size", 0) < s.k.get("size", 0) else ()


def icmp_of_unsent(s):
    """RFC 5927, 4.1: what is quoted must be in flight: SND.UNA <= SEQ < SND.NXT. The kernel takes SND.NXT, too."""
    if s.icmp and s.n.get("quoted") == 0:
        return EVERYTHING
    return {"call", "size"} if any(f.get("quoted") == 0 for f in s.past) else ()


def icmp_of_half_open(s):
    """The kernel gives up what its listener has half open when a soft error comes; RFC 9293, 3.9.2.2, MUST-56 lets it be."""
    return EVERYTHING if s.case["active"] is False and any("quoted" in f and f["look"] == "none" for f in s.past) else ()


def form_of_reset(s):
    """Text that nobody will read (RFC 1122, 4.2.2.13): the kernel answers as if there was no connection, SEQ=SEG.ACK."""
    if s.seg and len(s.n["rst"]) == len(s.k["rst"]) == 1:
        (_, nf, _), (k, kf, _) = s.n["rst"][0], s.k["rst"][0]
        return {"rst"} if (nf, kf) == ("RA", "R") and k == s.n.get("said_ack") else ()
    if s.several and {r[1] for r in s.n["rst"]} == {"RA", "R"} and {r[1] for r in s.k["rst"]} == {"R"}:
        return {"rst"}
    return ()


def ack_of_never_sent(s):
    """RFC 5961, 5.2 lets an ACK be as old as the largest window. npp takes none at or below the initial number, since
    it was never sent; the kernel counts the SYN as sent."""
    a = s.n.get("said_ack")
    return EVERYTHING if s.seg and a is not None and a <= 0 and "S" not in s.flags and "R" not in s.flags else ()


def fin_into_closed_window(s):
    """npp sends a bare FIN though the window is closed, as BSD does (Linux as a receiver takes it); the kernel waits."""
    return {"sent", "fin", "look", "call"} if ("fin" in s.diff or s.several) and s.n["fin"] and s.small_window else ()


def reset_in_fin_wait_2(s):
    """The kernel answers a RST that is out of the window, if its program has closed; RFC 5961, 3.2: silently dropped."""
    return {"dup", "sack"} if s.seg and "R" in s.flags and s.state is None and s.k["dup"] and not s.n["dup"] else ()


def shutdown_in_syn_sent(s):
    """Linux gives the connection up, whichever half is shut down (inet_shutdown: "temporary")."""
    return EVERYTHING if s.call("shutdown") and s.state == SYN_SENT else ()


def data_in_synack(s):
    """RFC 9293, 3.10.7.3 (5): what a SYN-ACK carries beside is taken; the kernel lets the peer send it again."""
    return EVERYTHING if s.seg and "S" in s.flags and s.state == SYN_SENT and (s.n.get("said_len") or "F" in s.flags) else ()


def refused_crossing(s):
    """RFC 9293, 3.10.7.4 (2): a reset of an active open in SYN-RECEIVED means "refused"; the kernel says ECONNRESET."""
    return {"call"} if "ECONNREFUSED" in str(s.n["call"]) and "ECONNRESET" in str(s.k["call"]) and s.case["active"] else ()


def crossing_acknowledged(s):
    """The SYN-ACK that answers ours, when SYNs have crossed: the kernel acknowledges it once more, which nobody needs."""
    return {"dup"} if s.seg and s.case["active"] and {"S", "A"} <= set(s.flags) and s.state in (SYN_SENT, 3) else ()


def duplicate_while_crossing(s):
    """Text from before the peer's first byte, when SYNs have crossed: the kernel reports it as a duplicate (RFC 2883, 4: of
    what was received), npp acknowledges only."""
    return {"sack"} if s.seg and s.case["active"] and s.state == SYN_SENT and s.n.get("said_seq", 0) < 0 else ()


def closed_while_crossing(s):
    """close() while SYNs have crossed: npp sends its FIN (RFC 9293, 3.10.4), the kernel forgets it until it is late."""
    crossed = s.case["active"] and any(f.get("look") and state_of(f) == SYN_SENT for f in s.past) and any(
        e.get("op", [""])[0] in ("close", "shutdown") for e in s.earlier)
    return EVERYTHING if crossed and s.state in (SYN_SENT, 3, None) else ()


def reset_that_reaches_in(s):
    """RFC 5961, 3.2 looks at the RST's own number; for the kernel it is in the window if its text reaches into it."""
    return {"dup", "sack"} if s.seg and "R" in s.flags and s.k["dup"] and not s.n["dup"] and s.n.get("said_seq", 0) < 0 else ()


def md5_without_key(s):
    """RFC 2385, 4.5: for a connection without a key the option is one of those that are not known."""
    return EVERYTHING if any(e.get("opt") == "md5" for e in s.earlier) else ()


def two_fins(s):
    """A peer that ends at two places: which one counts depends on what has come in between."""
    return EVERYTHING if sum("F" in e.get("f", "") for e in s.earlier) > 1 and s.diff & {"acked", "look", "rst"} else ()


def icmp_in_error_queue(s):
    """An ICMP error that ends connect() stays in the kernel's error queue (MSG_ERRQUEUE), asked for or not, and so does
    POLLERR."""
    n, k = s.n.get("look"), s.k.get("look")
    if isinstance(n, list) and isinstance(k, list) and n[0] == k[0] == CLOSE and k[1] - n[1] == 8:
        return {"look"} if any("quoted" in f for f in s.past) else ()
    return ()


def corked(s):
    """TCP_CORK holds for 200 ms; the kernel counts the first RTO instead, which is longer while nothing was measured."""
    return {"sent"} if any(e.get("op", [])[:3] == ["set", 6, 3] for e in s.earlier) else ()


def sack_beside_data(s):
    """With npp blocks go in ACKs without text, of which there is one more while something is out of order (RFC 2018, 4
    wants them in all)."""
    if s.n.get("size", 0) - s.k.get("size", 0) in (12, 20, 28, 36):
        return {"size", "sack", "dup"}      # as much as they take
    return {"sack", "dup"} if s.n.get("sent") != s.before.get("sent") else ()


def small_send_buffer(s):
    """A send buffer of npp's begins with 4 KB, the kernel's with 16, and a small write counts for more there."""
    n, k = s.n.get("look"), s.k.get("look")
    if isinstance(n, list) and isinstance(k, list) and n[:1] + n[2:] == k[:1] + k[2:] and abs(n[1] - k[1]) == 4:
        return {"look", "call"} if s.call("send") else {"look"}
    return {"call", "sent", "size"} if s.call("send") and s.n["call"] != s.k["call"] and (s.n.get("sent") or 0) > 1000 else ()


def soft_error_asked_for(s):
    """SO_ERROR of an open connection: the kernel tells of ICMP errors that did not end it (RFC 9293, 3.9.2.2, SHLD-25);
    with npp they are told when the connection has timed out."""
    return {"call"} if s.call("error") and s.n["call"] == 0 and any("quoted" in f for f in s.past) else ()


def time_wait_bare_ack(s):
    """An ACK in the window of TIME_WAIT, but not at its edge: nothing to say (RFC 9293, 3.10.7.4); the kernel answers."""
    return {"dup"} if s.seg and s.state in (TW, CLOSE, None) and s.k["dup"] and not s.n.get("said_len") else ()


def shut_both_ways(s):
    """shutdown(SHUT_RDWR): what still comes is taken, as libnpp(7) says; the kernel resets."""
    shut = {e["op"][1] for e in s.earlier if e["k"] == "app" and e["op"][0] == "shutdown"}
    closed = any(e["op"][0] == "close" for e in s.earlier[s.i + 1:] if e["k"] == "app")    # npp's own reset: nobody has read it
    return EVERYTHING if (2 in shut or {0, 1} <= shut) and s.seg and s.k["rst"] and (closed or not s.n["rst"]) else ()


def edge_timestamp(s):
    """A segment that ends at RCV.NXT counts as in the window, its timestamp as new (RFC 7323, 5.3: R3); in FIN-WAIT-2 and
    TIME-WAIT the kernel keeps to the old one."""
    return {"tsecr"} if s.seg and s.state in (FW2, TW, CLOSE, None) else ()


def reset_in_window_of_fin_wait_2(s):
    """Nor does RFC 5961, 3.2 let one count that is in the window, but not at its edge: it is challenged; in FIN-WAIT-2, closed,
    the kernel takes it."""
    inside = s.seg and "R" in s.flags and s.unknown and s.n.get("said_seq", 0) > 0
    return EVERYTHING if inside and s.n["dup"] and not s.k["dup"] and not s.half_open else ()


def old_reset_of_fast_open(s):
    """RFC 7323, 5.2: no RST is refused for its timestamp; the kernel does so before the handshake is over."""
    return EVERYTHING if s.seg and "R" in s.flags and s.fast and s.case["ts"] and state_of(s.n) == CLOSE else ()


def syn_in_half_open(s):
    """RFC 5961, 4.2: a SYN in the window of a half-open connection is challenged; the kernel resets the peer."""
    return EVERYTHING if s.seg and "S" in s.flags and (s.half_open or s.fast) and s.n["dup"] and s.k["rst"] else ()


def syn_in_fin_wait_2(s):
    """The same in FIN-WAIT-2, closed: the kernel resets."""
    return {"rst", "dup"} if s.seg and "S" in s.flags and s.unknown and s.k["rst"] and not s.n["rst"] else ()


def reset_before_fin(s):
    """The kernel takes a RST at RCV.NXT - 1 once a FIN was received, for the sake of some peers; RFC 5961, 3.2 does not."""
    return {"look", "dup"} if s.seg and "R" in s.flags and s.n.get("said_seq") == -1 and state_of(s.k) == CLOSE else ()


def paws_of_bare_ack(s):
    """RFC 7323, 5.3 (R1) answers whatever has an old timestamp; the kernel no ACKs without text, and it reports the text."""
    old = any(e.get("ts") in ("old", "ancient", "zero", "future") or e.get("opt") == "ts-twice" for e in s.earlier)
    n, k = s.n.get("look"), s.k.get("look")
    if old and isinstance(n, list) and isinstance(k, list) and n[:3] == k[:3] and "U" in s.flags:
        return {"dup", "sack", "look"}      # which of the two knows where the mark is
    return {"dup", "sack"} if s.seg and old else ()


def urgent_fin(s):
    """An urgent pointer that points at a FIN, which is no byte, or behind it."""
    n, k = s.n.get("look"), s.k.get("look")
    if any("U" in e.get("f", "") for e in s.earlier) and any("F" in e.get("f", "") for e in s.earlier):
        if isinstance(n, list) and isinstance(k, list) and (n[0], n[1] & ~2, n[2]) == (k[0], k[1] & ~2, k[2]):
            return {"look"}
        return {"call"} if s.call("recv") and s.e["op"][2:] == [1] else ()
    return ()


def urgent_byte_of_header(s):
    """A segment from behind the urgent byte that has not come: the kernel takes a byte of that segment's header for it,
    and says POLLPRI."""
    n, k = s.n.get("look"), s.k.get("look")
    if any("U" in e.get("f", "") for e in s.earlier) and isinstance(n, list) and isinstance(k, list):
        # And npp knows the byte, if it stands out of order.
        return {"look"} if n[:1] + n[2:] == k[:1] + k[2:] and abs(k[1] - n[1]) == 2 else ()
    return {"call"} if s.call("recv") and s.n["call"] in ("EAGAIN", "EINVAL") and s.k["call"][:1] == ["oob"] else ()


def text_around_half_open(s):
    """Text that begins below a half-open connection's first byte and ends above it: npp trims it (RFC 9293, 3.10.7.4)."""
    return EVERYTHING if s.seg and (s.unknown or s.fast) and s.n.get("said_seq", 0) < 0 and s.n.get("said_len") else ()


def icmp_while_crossing(s):
    """A soft error after SYNs have crossed: npp waits on (RFC 9293, 3.9.2.2, MUST-56), the kernel gives up."""
    return EVERYTHING if s.icmp and s.state == SYN_SENT and state_of(s.k) == CLOSE and any(
        "S" in e.get("f", "") for e in s.earlier) else ()


def reassembly_took_too_long(s):
    """ICMP time exceeded, code 1: the kernel looks away, for npp it ends an attempt to connect as code 0 does."""
    return EVERYTHING if s.icmp and s.state == SYN_SENT and (s.e["type"], s.e["code"]) == (11, 1) else ()


def reset_at_sack(s):
    """The kernel takes a RST at the end of what it has SACKed; RFC 5961, 3.2: only at RCV.NXT."""
    beyond = s.seg and "R" in s.flags and s.n.get("said_seq", 0) > 0
    return {"dup", "look", "sack", "call"} if beyond and s.n["dup"] and state_of(s.k) == CLOSE else ()


def old_ack_timestamp(s):
    """RFC 7323, 4.3 asks for the sequence number alone; the kernel takes no timestamp from a segment whose ACK is old, and
    sends none in the answer of a half-open connection if the peer's was 0."""
    return {"tsecr", "has_ts"} if any(f.get("unacked") for f in s.past) or any(
        e.get("ts") == "zero" or e.get("opt") == "ts-twice" for e in s.earlier) else ()


def small_window(s):
    """A window of less than a segment: npp fills it after a while (RFC 9293, 3.8.6.2.1), the kernel asks again and again."""
    return {"sent"} if s.k.get("sent") is not None and s.small_window else ()


def held_back(s):
    """What follows something that was not acknowledged (Nagle, a congestion window of one after timeouts): how long it waits
    depends on what the RTT was measured as, and with urgent data in flight the kernel does not hold it."""
    n, k = s.n.get("sent") or 0, s.k.get("sent") or 0
    return {"sent", "fin"} if n > 1 and k > 1 and s.n["call"] == s.k["call"] else ()


def ack_in_half_open(s):
    """RFC 9293, 3.10.7.4: first the sequence number, then the ACK; the kernel resets what has neither."""
    return {"rst", "dup"} if s.seg and s.unknown and s.n["dup"] and s.k["rst"] and not s.n["rst"] else ()


def reset_in_last_ack(s):
    """RFC 9293, 3.10.7.4 (2): a RST in LAST-ACK is no error; for the kernel it is ECONNRESET."""
    n, k = s.n.get("look"), s.k.get("look")
    if isinstance(n, list) and isinstance(k, list) and s.seg and "R" in s.flags and n[0] == k[0] == CLOSE and k[1] - n[1] == 8:
        return {"look"} if s.state in (LAST_ACK, CLOSING) else ()
    return ()


def assassinated(s):
    """RFC 1337, 3: TIME-WAIT ignores resets; the kernel only with net.ipv4.tcp_rfc1337."""
    reset = any("R" in e.get("f", "") for e in s.earlier)
    left = s.n["dup"] and not s.k["dup"] and {"S", "F"} <= set(s.flags)    # dropped by whom it finds, the listener
    return EVERYTHING if s.unknown and reset and ((s.k["rst"] and not s.n["rst"]) or left) else ()


def echo_in_syn_sent(s):
    """The kernel doubts a segment for SYN-SENT that echoes a timestamp that it has not sent."""
    return EVERYTHING if s.seg and s.state == SYN_SENT and s.e.get("ts", "").startswith("ecr") else ()


RULES = [
    malformed_options, neither_ack_nor_rst, text_after_fin, text_over_fin, sack_of_fin, window_edge,
    without_timestamp, options_of_crossing_syn, info_of_crossing_syn, cookie_given_again,
    info_of_fast_open, ect_of_syn, mtu_of_zero, fin_of_fast_open, echo_in_half_open, one_ack_for_several, black_hole,
    icmp_of_unsent, icmp_of_half_open, form_of_reset, ack_of_never_sent, fin_into_closed_window, reset_in_fin_wait_2,
    reset_in_window_of_fin_wait_2, old_reset_of_fast_open, shutdown_in_syn_sent, data_in_synack, refused_crossing,
    crossing_acknowledged, duplicate_while_crossing, closed_while_crossing, reset_that_reaches_in, md5_without_key,
    two_fins, icmp_in_error_queue, corked, sack_beside_data, small_send_buffer, soft_error_asked_for,
    time_wait_bare_ack, shut_both_ways, edge_timestamp, syn_in_half_open, syn_in_fin_wait_2, reset_before_fin,
    paws_of_bare_ack, urgent_fin, urgent_byte_of_header, text_around_half_open, icmp_while_crossing,
    reassembly_took_too_long, reset_at_sack, old_ack_timestamp, small_window, held_back, ack_in_half_open,
    reset_in_last_ack, assassinated, echo_in_syn_sent]
ENDS = {
    ect_of_syn, reset_in_window_of_fin_wait_2, old_reset_of_fast_open, malformed_options, fin_of_fast_open,
    echo_in_half_open, black_hole, text_over_fin, without_timestamp, icmp_of_unsent, icmp_of_half_open, form_of_reset,
    ack_of_never_sent, fin_into_closed_window, shutdown_in_syn_sent, data_in_synack, closed_while_crossing,
    md5_without_key, two_fins, small_send_buffer, shut_both_ways, syn_in_half_open, syn_in_fin_wait_2,
    reset_before_fin, text_around_half_open, icmp_while_crossing, reassembly_took_too_long, reset_at_sack,
    reset_in_last_ack, assassinated, echo_in_syn_sent}


def known(case, group, diff, npp, kernel):
    """(fields that nothing explains, names of the rules that explain others, do the two go their own ways now?) of the
    step that began with the first event of GROUP and ended with the last."""
    left, names, over = list(diff), [], False
    for i in group:
        s = Step(case, i, diff, npp, kernel, group)
        for rule in RULES:
            got = set(rule(s)) & set(left)
            if got:
                left = [f for f in left if f not in got]
                names.append(rule.__name__)
                over = over or rule in ENDS or bool(got & {"acked", "sent", "fin", "rst"}) or (
                    "look" in got and rule not in (info_of_crossing_syn, info_of_fast_open) and state_of(s.n) != state_of(s.k))
    return left, names, over
