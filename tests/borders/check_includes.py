#!/usr/bin/env python3
"""Checks who includes whom, in C++, CUDA and protobuf sources: check_includes.py ROOT, or --self-test.

ARROWS is the drawing of the design: what stands left of an arrow may be included by what stands right of it, also through
further arrows; what is not drawn is forbidden. Nor may units include each other in a circle: a unit is a header and its sources,
files of one name in one folder. Prints each offence as FILE:LINE, each circle as its units, and exits 1 when there is one.
"""

import pathlib
import re
import sys
import tempfile
import unittest

ARROWS = """
    base <- comm data metrics graph profile
    graph <- passes models optim
    models <- onnx
    passes profile <- engine
    engine optim <- kernels
    engine optim metrics data comm <- checkpoint
    checkpoint <- infer records plan
    plan <- step
    step infer <- evaluate
    evaluate records <- run
    run kernels models onnx <- launch
"""

# The inner order of launch, by its rooms: `launch` is what lies in none of them.
LAUNCH_ARROWS = """
    supervise/launcher <- supervise
    recipe supervise <- job
    job <- answers export
    recipe <- command_line report
    draft <- import
    page <- drawing report scale
    recipe supervise <- scale
    scale <- tune
    scale supervise/launcher <- profile
    command_line job supervise <- slurm
    job scale <- estimate
    estimate scale <- project
    answers draft drawing estimate export import slurm command_line profile project report tune <- commands
    commands <- commands/data
    commands/data <- launch
"""

# The inner order of data, by its folders: `data` is what lies in none of them.
DATA_ARROWS = """
    data <- batches rows table text/tokenizers
    rows <- image
    table <- formats
    formats <- audio
    formats image <- pictures
    pictures <- boxes
    text/tokenizers <- text/sentencepiece
    formats text/tokenizers <- text/sentences
    text/sentencepiece text/sentences <- text
    audio boxes image pictures rows table text <- open
"""

# Backends lie behind an interface: besides themselves only launch, which chooses one by name, may know them.
BACKENDS = ["comm/mpi", "comm/nccl", "comm/local", "trainer/kernels/reference", "trainer/kernels/onednn", "trainer/kernels/cuda"]

# Libraries of which one folder makes use: (pattern of the header, folder).
LIBRARIES = [
    (r"mpi(cxx)?\.h", "comm/mpi"),
    (r"nccl\w*\.h", "comm/nccl"),
    (r"(oneapi/dnnl/.*|dnnl\w*\.hp?p?)", "trainer/kernels/onednn"),
    (r"(cublas|cudnn)\w*\.h", "trainer/kernels/cuda"),
    (r"cuda(_\w+)?\.h", "base/cuda"),
]

# Circles that are still there, each as the set of its units. One that isn't there any more must be taken off the list.
KNOWN_CIRCLES = []

TOP_FOLDERS = ["base", "comm", "data", "trainer", "launch"]
SUFFIXES = {".h", ".cc", ".cu", ".cuh", ".proto"}
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
IMPORT = re.compile(r'\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;')


def allowed_includes(arrows):
    """For each module the set of modules that it may include."""
    may = {}
    for line in arrows.split("\n"):
        if not line.strip():
            continue
        included, includers = (side.split() for side in line.split("<-"))
        for module in included + includers:
            may.setdefault(module, {module})
        for module in includers:
            may[module].update(included)
    for _ in may:  # as often as the longest path could be
        for module in may:
            may[module].update(*(may[other] for other in may[module]))
    return may


MAY_INCLUDE = allowed_includes(ARROWS)
MAY_INCLUDE_INSIDE = {"launch": allowed_includes(LAUNCH_ARROWS), "data": allowed_includes(DATA_ARROWS)}


def module_of(path):
    """comm/mpi/x.h -> comm, trainer/graph/x.h -> graph; None outside the folders that are checked."""
    parts = path.split("/")
    if len(parts) < 2 or parts[0] not in TOP_FOLDERS:
        return None
    return parts[1] if parts[0] == "trainer" else parts[0]


def room_of(path):
    """launch/recipe/recipe.h -> recipe, launch/main.cc -> launch."""
    parts = path.split("/")
    return "/".join(parts[1:-1]) or parts[0]


def offence_inside(module, path, included):
    """What is wrong with `path` including `included`, both of one module that has an inner order, or None."""
    may = MAY_INCLUDE_INSIDE[module]
    for file in (path, included):
        if room_of(file) not in may:
            return f"{file} lies in a room that the drawing of {module} in check_includes.py does not show"
    if room_of(included) not in may[room_of(path)]:
        return f'within {module} {room_of(path)} may not include {room_of(included)}: "{included}"'
    return None


def backend_of(path):
    return next((folder for folder in BACKENDS if path.startswith(folder + "/")), None)


def offence(path, included, quoted):
    """What is wrong with `path` including `included`, or None."""
    for pattern, folder in LIBRARIES:
        if re.fullmatch(pattern, included) and not path.startswith(folder + "/"):
            return f"<{included}> belongs to {folder} alone"
    source, target = module_of(path), module_of(included)
    if target is None:
        if quoted and not included.startswith("google/protobuf/"):
            return f'"{included}" is no path from the root of the repository (system headers go in <>)'
        return None
    for module, where in ((source, path), (target, included)):
        if module not in MAY_INCLUDE:
            return f"{where} lies in a folder that the drawing in check_includes.py does not show"
    if target not in MAY_INCLUDE[source]:
        return f'{source} may not include {target}: "{included}"'
    if source == target and source in MAY_INCLUDE_INSIDE:
        return offence_inside(source, path, included)
    backend = backend_of(included)
    if backend and backend != backend_of(path) and source != "launch":
        return f'only launch may include the backend {backend}: "{included}"'
    return None


def includes_of(root, folders):
    """All includes of the sources in these folders, as (path, line number, what is included, whether it is quoted)."""
    for top in folders:
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in SUFFIXES or not file.is_file():
                continue
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
                match = IMPORT.match(line) if file.suffix == ".proto" else INCLUDE.match(line)
                if match:
                    yield path, number, match.group(1) or match.group(2), match.group(1) is not None


def find_offences(root):
    found = []
    for path, number, included, quoted in includes_of(root, TOP_FOLDERS):
        what = offence(path, included, quoted)
        if what:
            found.append(f"{path}:{number}: {what}")
    return found


def unit_of(path):
    """comm/exchange.h and comm/exchange.cc -> comm/exchange; data/data.proto and data/data.pb.h -> data/data.pb."""
    stem, suffix = path.rsplit(".", 1)
    return stem + ".pb" if suffix == "proto" else stem


def find_circles(root, folders=(*TOP_FOLDERS, "tests")):
    """Sets of units that include each other in a circle: the strongly connected components of more than one unit (Tarjan, 1972)."""
    graph = {}
    for path, _, included, _ in includes_of(root, folders):
        edges = graph.setdefault(unit_of(path), set())
        if included.split("/")[0] in folders:
            edges.add(unit_of(included))
    index, lowest, stack, circles = {}, {}, [], []

    def visit(unit):
        index[unit] = lowest[unit] = len(index)
        stack.append(unit)
        for other in graph.get(unit, ()):
            if other not in index:
                visit(other)
            if other in stack:
                lowest[unit] = min(lowest[unit], lowest[other])
        if lowest[unit] == index[unit]:
            circle = set(stack[stack.index(unit):])
            del stack[stack.index(unit):]
            if len(circle) > 1:
                circles.append(circle)

    for unit in sorted(graph):
        if unit not in index:
            visit(unit)
    return circles


def circle_offences(circles, known):
    """What is wrong with the circles that were found, given those that are known."""
    found = ["units include each other in a circle: " + " ".join(sorted(circle)) for circle in circles if circle not in known]
    gone = [circle for circle in known if circle not in circles]
    return found + [f"no such circle any more, take it off KNOWN_CIRCLES: {' '.join(sorted(circle))}" for circle in gone]


class BordersTest(unittest.TestCase):
    def offences(self, files, find=find_offences):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            return find(pathlib.Path(folder))

    def assert_forbidden(self, path, line):
        found = self.offences({path: "// A file.\n" + line + "\n"})
        self.assertEqual(len(found), 1, f"{path}: {line} -> {found}")
        self.assertTrue(found[0].startswith(path + ":2: "), found[0])

    def assert_allowed(self, path, line):
        self.assertEqual(self.offences({path: line + "\n"}), [])

    def test_includes_against_the_arrows_are_reported(self):
        self.assert_forbidden("base/hash.h", '#include "comm/communicator.h"')
        self.assert_forbidden("comm/exchange.cc", '#include "trainer/graph/graph.h"')
        self.assert_forbidden("trainer/engine/program.cc", '#include "trainer/optim/optimizer.h"')
        self.assert_forbidden("trainer/run/worker.cc", '#  include "trainer/models/models.h"')
        self.assert_forbidden("trainer/metrics/metrics.cu", '#include "data/dataset.h"')
        self.assert_forbidden("data/loader.cc", "#include <trainer/engine/program.h>")

    def test_imports_against_the_arrows_are_reported(self):
        self.assert_forbidden("data/data.proto", 'import "launch/recipe/recipe.proto";')
        self.assert_forbidden("comm/messages.proto", 'import public "data/data.proto";')

    def test_libraries_outside_their_folder_are_reported(self):
        self.assert_forbidden("comm/exchange.cc", "#include <mpi.h>")
        self.assert_forbidden("launch/main.cc", '#include "mpi.h"')
        self.assert_forbidden("comm/mpi/mpi_communicator.cc", "#include <nccl.h>")
        self.assert_forbidden("trainer/engine/program.cc", "#include <oneapi/dnnl/dnnl.hpp>")
        self.assert_forbidden("launch/doctor.cc", "#include <dnnl.hpp>")
        self.assert_forbidden("base/cuda.cc", "#include <cublasLt.h>")
        self.assert_forbidden("trainer/models/models.cc", "#include <cudnn.h>")

    def test_data_has_an_inner_order(self):
        self.assert_forbidden("data/dataset.h", '#include "data/batches/batches.h"')
        self.assert_forbidden("data/formats/csv.cc", '#include "data/text/tokenizers/tokenizer.h"')
        self.assert_forbidden("data/text/tokenizers/regex.h", '#include "data/text/open_text.h"')
        self.assert_forbidden("data/audio/open_speech.h", '#include "data/open/open_dataset.h"')
        self.assert_forbidden("data/newcomer/a.h", '#include "data/dataset.h"')
        self.assert_allowed("data/open/open_dataset.cc", '#include "data/text/sentences/parallel_text.h"')
        self.assert_allowed("data/text/sentences/parallel_text.cc", '#include "data/formats/lines.h"')

    def test_backends_are_known_to_launch_alone(self):
        self.assert_forbidden("comm/exchange.cc", '#include "comm/local/local_communicator.h"')
        self.assert_forbidden("trainer/kernels/onednn/conv.cc", '#include "trainer/kernels/reference/reference.h"')
        self.assert_allowed("launch/job/ranks.cc", '#include "comm/mpi/mpi_communicator.h"')

    def test_launch_has_an_inner_order(self):
        self.assert_forbidden("launch/recipe/recipe.cc", '#include "launch/job/job_setup.h"')
        self.assert_forbidden("launch/supervise/supervisor.cc", '#include "launch/commands/commands.h"')
        self.assert_forbidden("launch/report/report_page.cc", '#include "launch/job/ranks.h"')
        self.assert_forbidden("launch/newcomer/a.cc", '#include "launch/recipe/recipe.h"')
        self.assert_allowed("launch/commands/run_command.cc", '#include "launch/supervise/supervisor.h"')
        self.assert_allowed("launch/main.cc", '#include "launch/commands/commands.h"')

    def test_unknown_folders_and_relative_paths_are_reported(self):
        self.assert_forbidden("trainer/newcomer/a.cc", '#include "base/hash.h"')
        self.assert_forbidden("base/hash.cc", '#include "hash.h"')

    def test_arrows_are_transitive(self):
        self.assert_allowed("launch/main.cc", '#include "base/error.h"')
        self.assert_allowed("trainer/run/worker.cc", '#include "trainer/graph/graph.h"')
        self.assert_allowed("trainer/checkpoint/checkpoint.proto", 'import "data/data.proto";')

    def test_own_folder_system_and_own_library_are_allowed(self):
        self.assert_allowed("base/hash.cc", '#include "base/hash.h"\n#include <vector>\n#include <xxhash.h>')
        self.assert_allowed("comm/mpi/mpi_communicator.cc", "#include <mpi.h>")
        self.assert_allowed("trainer/kernels/onednn/conv.cc", "#include <oneapi/dnnl/dnnl.hpp>")
        self.assert_allowed("trainer/kernels/cuda/conv.cu", "#include <cudnn.h>\n#include <cublasLt.h>")
        self.assert_allowed("data/data.proto", 'import "google/protobuf/descriptor.proto";')
        self.assert_allowed("base/hash.cc", '// #include "launch/recipe/recipe.h"')

    def assert_circles(self, files, circles):
        found = self.offences(files, find_circles)
        self.assertEqual(sorted(map(sorted, found)), circles)

    def test_units_in_a_circle_are_reported_though_their_headers_are_not(self):
        files = {"data/loader.h": "", "data/loader.cc": '#include "data/loader.h"\n#include "data/lanes.h"\n',
                 "data/lanes.h": '#include "data/loader.h"\n', "data/far.h": '#include "data/loader.h"\n'}
        self.assert_circles(files, [["data/lanes", "data/loader"]])

    def test_long_circles_and_several_are_reported(self):
        files = {"comm/a.h": '#include "comm/b.h"', "comm/b.cu": '#include "comm/c.h"', "comm/c.cuh": '#include "comm/a.h"',
                 "comm/x.pb.h": "", "comm/x.proto": 'import "comm/y.proto";', "comm/y.proto": 'import "comm/x.proto";',
                 "tests/comm/t.h": '#include "tests/comm/u.h"', "tests/comm/u.cc": '#include "tests/comm/t.h"'}
        self.assert_circles(files, [["comm/a", "comm/b", "comm/c"], ["comm/x.pb", "comm/y.pb"], ["tests/comm/t", "tests/comm/u"]])

    def test_what_two_units_share_is_no_circle(self):
        files = {"base/a.h": '#include "base/c.h"\n#include <vector>', "base/b.h": '#include "base/c.h"\n#include "base/a.h"',
                 "base/c.h": "", "base/c.cc": '#include "base/c.h"\n#include "base/m.pb.h"', "base/m.proto": 'import "google/protobuf/any.proto";'}
        self.assert_circles(files, [])

    def test_known_circles_must_be_there(self):
        known = [{"a/x", "a/y"}]
        self.assertEqual(circle_offences([{"a/x", "a/y"}], known), [])
        self.assertIn("take it off", circle_offences([], known)[0])
        self.assertEqual(len(circle_offences([{"a/x", "a/y", "a/z"}], known)), 2)
        self.assertEqual(circle_offences([{"b/x", "b/y"}], []), ["units include each other in a circle: b/x b/y"])


def main(arguments):
    if arguments == ["--self-test"]:
        unittest.main(argv=[sys.argv[0]])
    if len(arguments) != 1 or not (pathlib.Path(arguments[0]) / "base").is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    root = pathlib.Path(arguments[0])
    found = find_offences(root) + circle_offences(find_circles(root), KNOWN_CIRCLES)
    print("\n".join(found + [f"{len(found)} forbidden includes"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
