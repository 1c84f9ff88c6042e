#!/usr/bin/env bash
# install.sh CMAKE BUILD: what `cmake --install` brings is whole, and works where it was put.
set -euo pipefail
cmake=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cmake" --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/lockstep"  # it can be moved
cd "$work"

for file in bin/lockstep share/man/man1/lockstep.1 share/bash-completion/completions/lockstep \
  share/zsh/site-functions/_lockstep share/fish/vendor_completions.d/lockstep.fish \
  share/lockstep/proto/launch/recipe/recipe.proto share/lockstep/proto/base/recipe_field.proto \
  share/lockstep/examples/digits.textproto share/lockstep/examples/data/digits.csv.gz \
  share/doc/lockstep/LICENSE share/doc/lockstep/README.md share/doc/lockstep/docs/recipes.md; do
  [ -s "lockstep/$file" ] || { echo "there is no $file"; exit 1; }
done
lockstep/bin/lockstep --version | grep -q '^build ' || { echo "the program doesn't run"; exit 1; }
lockstep/bin/lockstep plan lockstep/share/lockstep/examples/digits.textproto | grep -q '^run digits$' ||
  { echo "the examples can't be planned"; exit 1; }
# One rank needs no MPI: neither is the program linked with it, nor does it miss the library that is.
if ldd lockstep/bin/lockstep | grep -q libmpi; then echo "the program can't start without MPI"; exit 1; fi
[ -s lockstep/lib/lockstep/liblockstep_mpi.so ] || { echo "there is no library with MPI"; exit 1; }
mv lockstep/lib/lockstep/liblockstep_mpi.so aside
lockstep/bin/lockstep train lockstep/share/lockstep/examples/digits.textproto --set train.epochs=1 2>&1 |
  grep -q '^done name=digits ' || { echo "one rank doesn't train without MPI"; exit 1; }
[ "$(lockstep/bin/lockstep doctor | grep -c '^MPI  *none: the library with MPI, liblockstep_mpi.so, is missing')" = 1 ] ||
  { echo "doctor doesn't miss MPI"; exit 1; }
code=0
OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 lockstep/bin/lockstep train lockstep/share/lockstep/examples/digits.textproto \
  >out 2>&1 || code=$?
[ $code = 2 ] && grep -q "ranks can't be joined: the library with MPI" out || { echo "several ranks without MPI: $code"; cat out; exit 1; }
mv aside lockstep/lib/lockstep/liblockstep_mpi.so
bash -n lockstep/share/bash-completion/completions/lockstep
# Editors and protoc read recipes by the schema alone.
if command -v protoc >/dev/null; then
  protoc -I lockstep/share/lockstep/proto --encode=lockstep.Recipe launch/recipe/recipe.proto \
    <lockstep/share/lockstep/examples/digits.textproto >/dev/null
fi
if command -v groff >/dev/null; then
  complaints=$(groff -man -Tutf8 -ww lockstep/share/man/man1/lockstep.1 2>&1 >/dev/null)
  [ -z "$complaints" ] || { echo "$complaints"; exit 1; }
fi
echo "ok: installed"
