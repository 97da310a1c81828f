// What src/disk finds of the file systems on which models lie: 85 to 90.
#include "doctor/judge.h"

namespace hearth::doctor {
namespace {

std::optional<Verdict> found(const Facts& facts, std::initializer_list<std::string_view> ids, Confidence confidence) {
  Verdict verdict{confidence, {}, "", ""};
  for (const Disk& disk : facts.disks)
    for (const Cause& cause : disk.findings)
      if (std::ranges::find(ids, cause.id) != ids.end()) verdict.evidence.push_back({what_of(cause), disk.path});
  if (verdict.evidence.empty()) return std::nullopt;
  return verdict;
}

const Rule kDiskLow = {"disk-low",
                       85,
                       "storage",
                       "Little space is left where the models lie",
                       "A model that is pulled, quantised or moved next may not fit. What is there goes on being used.",
                       "",
                       {{kAnywhere,
                         "on this machine",
                         {"$ hearth disk    # what lies where, and what would be freed by what", "$ hearth rm MODEL",
                          "Or move models: hearth store move --all --to FOLDER"}}},
                       "It has nothing to do with the GPU",
                       "ollama#6727, #15547; open-webui#4144",
                       20,
                       anywhere,
                       [](const Facts& facts) {
                         return found(facts, {"disk-low", "disk-full"}, kCertain);
                       }};
const RegisterRule r85(&kDiskLow);

const Rule kDiskQuota = {
    "disk-quota",
    86,
    "storage",
    "A quota of the file system refuses writes, although df shows free space",
    "Quotas of users, projects, btrfs qgroups or container volumes count apart from what statvfs() and df tell.",
    "",
    {{kOnHost | kContainers | kInWsl2,
      "on the host, as root",
      {"$ quota -s; btrfs qgroup show -reF /FOLDER; xfs_quota -x -c report",
       "Raise the limit, or name another folder: OLLAMA_MODELS"}},
     {kInKubernetes, "in the manifest", {"Raise the volume's size, or the limit on ephemeral-storage"}}},
    "Deleting files of other users: the quota counts one's own",
    "lxc#1003; lxd#2180; openzfs/zfs#2096",
    90,
    anywhere,
    [](const Facts& facts) {
      if (auto verdict = found(facts, {"disk-quota"}, kCertain)) return verdict;
      return by_line(facts, kHigh, "L37.quota");
    }};
const RegisterRule r86(&kDiskQuota);

const Rule kDiskThinPool = {
    "disk-thin-pool",
    87,
    "storage",
    "The storage below the file system is full: data that was written cannot be kept",
    "A thin volume, a sparse image or a VM's disk shows more space than stands behind it. Writes succeed, and their "
    "data is "
    "lost when it is to last.",
    "",
    {{kAnywhere,
      "where the volume comes from, as root",
      {"$ lvs -o lv_name,data_percent,metadata_percent; df -h of the file system that holds the image",
       "Give the pool more storage; then hearth store verify --repair"}}},
    "df inside of the volume",
    "store-guard measurements: ext4 in a sparse image on a full tmpfs",
    95,
    anywhere,
    [](const Facts& facts) { return found(facts, {"disk-thin-pool"}, kCertain); }};
const RegisterRule r87(&kDiskThinPool);

const Rule kDiskInodes = {
    "disk-inodes",
    88,
    "storage",
    "Hardly any more files can be made where the models lie",
    "A file system with a fixed number of inodes is full when they are, whatever space is free.",
    "",
    {{kAnywhere,
      "on the host",
      {"$ df -i", "Delete small files (caches, logs), or make the file system anew with more inodes"}}},
    "Free space in gigabytes",
    "ext4(5); ollama#2497",
    60,
    anywhere,
    [](const Facts& facts) { return found(facts, {"disk-inodes"}, kCertain); }};
const RegisterRule r88(&kDiskInodes);

const Rule kDiskReadOnly = {
    "disk-read-only",
    89,
    "storage",
    "The file system of the models is mounted read-only",
    "Models that are there can be used; none can be pulled, made or removed. A disk with errors is put into this state "
    "by the "
    "kernel.",
    "",
    {{kOnHost | kContainers | kInWsl2,
      "on the host, as root",
      {"$ sudo dmesg | grep -i 'remount\\|I/O error'", "$ sudo mount -o remount,rw /MOUNT",
       "In Docker: a volume without :ro"}},
     {kInKubernetes,
      "in the manifest",
      {"readOnly: false of the volume mount; readOnlyRootFilesystem needs a volume for models"}}},
    "Permissions of files",
    "ollama#9337",
    55,
    anywhere,
    [](const Facts& facts) { return found(facts, {"disk-read-only"}, kCertain); }};
const RegisterRule r89(&kDiskReadOnly);

const Rule kDiskNotWritable = {
    "disk-not-writable",
    90,
    "storage",
    "The folder of the models is somebody else's",
    "A server that runs as another user than who made the folder can read models, at best, and pulls nothing.",
    "",
    {{kAnywhere,
      "on the host, as root",
      {"$ namei -l /FOLDER    # each part of the path must let the user through",
       "$ sudo chown -R USER /FOLDER, or another folder: OLLAMA_MODELS"}}},
    "Running the server as root",
    "ollama#2147, #2701, #9337, #9877, #10672, #1066",
    50,
    anywhere,
    [](const Facts& facts) { return found(facts, {"disk-not-writable"}, kHigh); }};
const RegisterRule r90(&kDiskNotWritable);

}  // namespace
}  // namespace hearth::doctor
