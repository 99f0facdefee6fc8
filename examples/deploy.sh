#!/bin/sh
# From a checkpoint to a checked .wts, for a pipeline: sh examples/deploy.sh CHECKPOINT FOLDER
#
# Ends with 0 if FOLDER holds the new .wts and its sidecar; with 10 where the file would run code that nobody knows, 11
# where it cannot be read, 12 where it cannot be exported, 13 where what was written is not what was read. FOLDER then
# keeps what it had.
set -u
checkpoint=$1
folder=$2
new=$(mktemp -d "$folder/.new-XXXXXX") || exit 12
trap 'rm -rf "$new"' EXIT

# 0 is clean, or needs the code of a known framework (which pywts does not run); 1 found, 2 unreadable.
pywts scan -q "$checkpoint"
case $? in
  0) ;;
  1) echo "deploy: $checkpoint would run code when it is loaded: pywts scan $checkpoint" >&2; exit 10 ;;
  *) echo "deploy: $checkpoint cannot be read to its end" >&2; exit 11 ;;
esac

pywts export -q --sidecar --durable "$checkpoint" -o "$new/" || exit 12
wts=$(basename "$new"/*.wts)

# By the checkpoint: every value. By the sidecar: what can still be checked where the checkpoint is not.
pywts verify -q "$new/$wts" "$checkpoint" && pywts verify -q "$new/$wts" || exit 13

# What the C++ program must be compiled with, for the next step of the pipeline.
pywts inspect --json "$checkpoint" > "$new/${wts%.wts}.inspection.json" || exit 12

# The .wts last: whoever waits for it finds the rest there. Each is renamed, so none is ever half there.
mv "$new/${wts%.wts}.inspection.json" "$new/$wts.json" "$folder/" && mv "$new/$wts" "$folder/"
