// The command line: one file per command, each a registered Command; main() here wires them.
#pragma once

namespace hearth::cli {

// Exit codes, documented in docs/cli.md.
inline constexpr int kExitSuccess = 0, kExitFailed = 1, kExitUsage = 2, kExitRefused = 3, kExitUndecided = 4;

int main(int argc, char** argv);

// For a command whose exit code is a result (hearth doctor): what main() returns if it succeeds.
void succeed_with(int code);

}  // namespace hearth::cli
