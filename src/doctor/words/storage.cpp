// What is wrong with the file system of a store, as src/disk finds it.
#include "base/cause.h"

namespace hearth::doctor {
namespace {

const CauseWords kWords[] = {
    {"disk-low", "{folder} has {free} free on {mount} ({type}), and {kept} are to stay free",
     "\"hearth disk\" says what can go and where else there is room"},
    {"disk-full",
     "{folder} has {free} free on {mount} ({type}), and {kept} are to stay free: nothing large is written there",
     "\"hearth disk\" says what can go and where else there is room; \"hearth store move --all --to FOLDER\" moves "
     "models"},
    {"disk-quota", "a write to {folder} was refused by a quota",
     "ask for a larger quota, or name another folder with OLLAMA_MODELS; what \"df\" shows as free is not this user's"},
    {"disk-thin-pool",
     "{mount} took data that could not be stored when it was to last: it stands on less storage than it shows",
     "give the pool below it more storage"},
    {"disk-inodes", "{mount} has room for {files} more files, whatever space is free",
     "delete small files there, or make the file system anew with more inodes"},
    {"disk-read-only", "{mount} is mounted read-only",
     "mount it for writing to pull models to it; those that are there can be used"},
    {"disk-overlay", "{folder} lies in a container's own layer: it goes with the container",
     "mount a volume there (docker run -v models:/root/.ollama)"},
    {"disk-in-memory", "{folder} lies in memory ({type}): it goes with a restart",
     "name a folder on a disk with OLLAMA_MODELS"},
    {"disk-network", "{folder} lies on a network file system ({type})",
     "models load as fast as the network is; keep those in use on a local disk"},
    {"disk-not-writable", "{folder} belongs to {owner} (mode {mode}), and this runs as {user}",
     "let {user} write there (chown or chmod), or name another folder with OLLAMA_MODELS"},
    {"disk-unreadable", "{error}", "look at the mount"},
};

const RegisterAll<CauseWords> registered(kWords);

}  // namespace
}  // namespace hearth::doctor
