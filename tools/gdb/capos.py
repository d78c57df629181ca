"""GDB commands for the capOS kernel and the program it runs.

Loaded by the command that `./capos run -d` prints. All read kernel structures through the debug
information of capos.elf; nothing is executed on the machine. `help capos` lists the commands.
"""

import os
import re
import struct

import gdb


class CaposCommand(gdb.Command):
    """Look at capOS: capos processes, cpus, threads, caps, endpoints, regions, queues, late.

threads, caps and regions are about the program that runs, or about the process of which the id
follows."""

    def __init__(self):
        super().__init__("capos", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


def text(value):
    return value.string(errors="replace")


def address(value):
    return int(value.cast(gdb.lookup_type("unsigned long")))


def container(node, type_name, member):
    """The structure around an intrusive node."""
    kind = gdb.lookup_type("struct " + type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    return gdb.Value(address(node) - offset).cast(kind.pointer()).dereference()


def list_nodes(lst):
    head = address(lst["head"].address)
    node = lst["head"]["next"]
    while address(node) != head:
        yield node
        node = node["next"]


def tree_nodes(node):
    if address(node) == 0:
        return
    yield from tree_nodes(node["child"][0])
    yield node
    yield from tree_nodes(node["child"][1])


def cpus():
    online = int(gdb.parse_and_eval("online"))
    for i in range(online.bit_length()):
        if online >> i & 1:
            yield gdb.parse_and_eval("percpus[%d]" % i)


def foreground():
    process = gdb.parse_and_eval("foreground")
    if address(process) == 0:
        raise gdb.GdbError("no program is running")
    return process.dereference()


def processes(process=None, depth=0):
    """The program that runs and those below it, each with its depth."""
    process = process or foreground()
    yield process, depth
    for children in ("children", "dying"):
        for node in list_nodes(process[children]):
            yield from processes(container(node, "process", "sibling_node"), depth + 1)


def chosen(argument):
    """The process of that id; without one, the program that runs."""
    if not argument:
        return foreground()
    for process, _ in processes():
        if int(process["id"]) == int(argument, 0):
            return process
    raise gdb.GdbError("there is no process %s; capos processes lists them" % argument)


def names(enumeration, prefix):
    """The values of an enumeration with their names, less what all begin with, in small letters."""
    fields = gdb.lookup_type("enum " + enumeration).fields()
    return {f.enumval: f.name[len(prefix):].lower() for f in fields}


def abi_constant(name):
    """A constant of the generated header: a macro is not in the debug information."""
    kernel = os.path.dirname(gdb.current_progspace().filename)
    header = os.path.join(kernel, "..", "gen", "include", "capos", "abi.h")
    with open(header) as lines:
        for line in lines:
            found = re.match(r"#define %s CAPOS_CONST\d+\((\w+)\)" % name, line)
            if found:
                return int(found.group(1), 0)
    raise gdb.GdbError("there is no %s in %s" % (name, header))


def kernel_stack_size(threads):
    """From a thread and a CPU that has its stack: the two differ by the size, a power of two."""
    found = []
    for cpu in cpus():
        for thread in threads:
            size = int(cpu["arch"]["kernel_stack"]) - address(thread["stack"])
            if size >= 4096 and size & (size - 1) == 0:
                found.append(size)
    if not found:
        raise gdb.GdbError("no CPU has run one of the program's threads")
    return min(found)



def symbol(rip):
    found = gdb.execute("info symbol %#x" % rip, to_string=True).strip()
    return "" if found.startswith("No symbol") else found


class Cpus(gdb.Command):
    """What each CPU runs."""

    def __init__(self):
        super().__init__("capos cpus", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in cpus():
            thread = cpu["current"].dereference()
            print("CPU %d: thread %d \"%s\", %d waiting to run" % (
                int(cpu["id"]), int(thread["id"]), text(thread["name"]),
                int(cpu["run"]["count"])))


class Late(gdb.Command):
    """The timer interrupt of each CPU that came latest, and the calls in which it came."""

    def __init__(self):
        super().__init__("capos late", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in cpus():
            late = cpu["late"]
            print("CPU %d: %d ns late at %d ns, thread %d, its program at %#x" % (
                int(cpu["id"]), int(late["ns"]), int(late["came_ns"]),
                int(late["thread_id"]), int(late["instruction"])))
            calls = late["calls"]
            for i in range(calls.type.range()[1] + 1):
                if int(calls[i]):
                    print("  %s" % symbol(int(calls[i])))


def waiting_shares(run):
    """The shares of a run queue: that of the running thread is not in the order of the others."""
    if address(run["served"]) != 0:
        yield run["served"].dereference()
    for node in tree_nodes(run["shares"]["root"]):
        yield container(node, "share", "node")


class Queues(gdb.Command):
    """The threads waiting to run on each CPU, process by process, and for a time."""

    def __init__(self):
        super().__init__("capos queues", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in cpus():
            print("CPU %d" % int(cpu["id"]))
            for share in waiting_shares(cpu["run"]):
                print("  a process that has had %d ns" % int(share["had_ns"]))
                for node in tree_nodes(share["threads"]["root"]):
                    thread = container(node, "thread", "run_node")
                    print("  runnable: thread %d, virtual time %d ns" % (
                        int(thread["id"]), int(thread["vruntime_ns"])))
            for node in tree_nodes(cpu["timers"]["threads"]["root"]):
                thread = container(node, "thread", "timer_node")
                print("  until %d ns: thread %d" % (
                    int(thread["timer_deadline_ns"]), int(thread["id"])))


class Threads(gdb.Command):
    """The threads of a process, with where each left user mode."""

    def __init__(self):
        super().__init__("capos threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        frame_type = gdb.lookup_type("struct trap_frame")
        states = names("thread_state", "THREAD_")
        threads = [container(node, "thread", "process_node")
                   for node in list_nodes(chosen(argument)["threads"])]
        stack_size = kernel_stack_size(threads)
        for thread in threads:
            top = address(thread["stack"]) + stack_size
            frame = gdb.Value(top - frame_type.sizeof).cast(frame_type.pointer()).dereference()
            rip = int(frame["rip"])
            print("thread %-4d %-8s CPU %d rip %#x rsp %#x pending %#x mask %#x %s %s" % (
                int(thread["id"]), states.get(int(thread["state"]), "?"), int(thread["cpu"]), rip,
                int(frame["rsp"]), int(thread["notify_pending"]), int(thread["notify_mask"]),
                text(thread["name"]), symbol(rip)))


class Processes(gdb.Command):
    """The program that runs and the processes that it started, with those that they started."""

    def __init__(self):
        super().__init__("capos processes", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for process, depth in processes():
            ledger = process["ledger"]
            print("%sprocess %d %s: %d threads, %d capabilities, %d pages of %s%s" % (
                "  " * depth, int(process["id"]), text(process["name"]),
                int(process["thread_count"]), int(process["caps"]["used"]),
                int(ledger["charged_pages"]), int(ledger["limit_pages"]) or "any",
                ", exiting" if process["exiting"] else ""))


def held(process):
    """The capabilities of a process: id, object and name of the interface."""
    table = process["caps"]
    slots = int(table["slots"])
    if slots == 0:
        return
    first, last = table["chunks"].type.range()
    chunk_slots = slots // sum(1 for i in range(first, last + 1) if address(table["chunks"][i]))
    kinds = names("cap_slot_kind", "CAP_SLOT_")
    object_pointer = gdb.lookup_type("struct object").pointer()
    for slot in range(1, slots):
        # Generation, address and kind in one word, as kernel/cap/table.h shows.
        word = int(table["chunks"][slot // chunk_slots][slot % chunk_slots])
        generation, kind = word >> 48, word & 15
        where = word & 0x0000FFFFFFFFFFF0 | 0xFFFF000000000000
        if kinds.get(kind) not in ("counted", "static"):
            continue
        item = gdb.Value(where).cast(object_pointer).dereference()
        yield generation << 16 | slot, item, text(item["interface"].dereference()["name"])


class Caps(gdb.Command):
    """The capabilities that a process holds."""

    def __init__(self):
        super().__init__("capos caps", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cap, item, interface in held(chosen(argument)):
            print("cap %#010x  %-16s object #%d, %d references" % (
                cap, interface, int(item["serial"]), int(item["references"])))


class Endpoints(gdb.Command):
    """The endpoints of all processes: calls and receivers that wait, and facets that are held."""

    def __init__(self):
        super().__init__("capos endpoints", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        holders, seen = {}, {}
        for process, _ in processes():
            for _, item, interface in held(process):
                if interface in ("Endpoint", "Facet"):
                    holders.setdefault(address(item.address), []).append(int(process["id"]))
                    seen[address(item.address)] = item, interface
        for where, (item, interface) in seen.items():
            if interface == "Endpoint":
                self.show(item, holders)
        for where, (item, interface) in seen.items():
            endpoint = container(item.address, "facet", "object")["endpoint"]
            if interface == "Facet" and address(endpoint) not in holders:
                print("facet #%d of endpoint #%d, which no process holds" % (
                    int(item["serial"]), int(endpoint["object"]["serial"])))

    def show(self, item, holders):
        endpoint = container(item.address, "endpoint", "object")
        receivers = sum(1 for _ in list_nodes(endpoint["receivers"]))
        print("endpoint #%d: %d of %d calls wait, %d receivers, held by process %s" % (
            int(item["serial"]), int(endpoint["call_count"]), int(endpoint["calls_max"]),
            receivers, ", ".join(map(str, holders[address(item.address)]))))
        for node in tree_nodes(endpoint["facets"]["root"]):
            facet = container(node, "facet", "node")
            where = holders.get(address(facet.address))
            print("  facet #%d, tag %d, held by %s" % (
                int(facet["object"]["serial"]), int(facet["tag"]),
                "process " + ", ".join(map(str, where)) if where else "none of them"))


DIRECT_MAP = 0xFFFF800000000000  # kernel/arch/x86_64/include/arch/impl/layout.h
ADDRESS_BITS = 0x000FFFFFFFFFF000


def table_at(physical):
    memory = gdb.selected_inferior().read_memory(DIRECT_MAP + physical, 4096)
    return struct.unpack("<512Q", memory.tobytes())


def pieces(table, level, base, start, end):
    """What the page tables say of [start, end): (start, end, entry). Entries are described in
    kernel/arch/x86_64/include/arch/impl/paging.h."""
    size = 4096 << 9 * (level - 1)
    entries = table_at(table)
    for i in range((start - base) // size, (end - 1 - base) // size + 1):
        at = base + i * size
        low, high = max(at, start), min(at + size, end)
        if entries[i] >> 9 & 7 == 1:
            yield from pieces(entries[i] & ADDRESS_BITS, level - 1, at, low, high)
        else:
            yield low, high, entries[i]


def runs(root, start, end):
    """[start, end) in pieces of one state and protection."""
    states = ("reserved", None, "committed", "demand_zero", "object", "object", "committed",
              "demand_zero")
    run = None
    for low, high, entry in pieces(root, 4, 0, start, end):
        alike = states[entry >> 9 & 7], entry >> 52 & 7
        if run and run[2] == alike:
            run = run[0], high, alike
            continue
        if run:
            yield run
        run = low, high, alike
    yield run


class Regions(gdb.Command):
    """The address space of a process."""

    def __init__(self):
        super().__init__("capos regions", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        bits = [(c, abi_constant("CAPOS_PROT_" + name))
                for c, name in (("r", "READ"), ("w", "WRITE"), ("x", "EXEC"))]
        space = chosen(argument)["space"].dereference()
        for node in tree_nodes(space["regions"]["root"]):
            region = container(node, "region", "node")
            pinned = " pinned" if int(region["pinned"]) else ""
            for start, end, (state, prot) in runs(
                    int(space["root"]), int(region["start"]), int(region["end"])):
                flags = "".join(c if prot & bit else "-" for c, bit in bits)
                print("%#016x-%#016x %8d KiB %s %s%s" % (
                    start, end, (end - start) // 1024, flags, state, pinned))


CaposCommand()
Processes()
Cpus()
Queues()
Late()
Threads()
Caps()
Endpoints()
Regions()
