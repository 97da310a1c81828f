// The decoded form of a PTX module: what the interpreter (sim/exec) executes.
//
// Every kernel is self-contained ("linked"): the code of the device functions it calls, directly or not, lies in the
// same instruction array, their registers in the same register frame and their local memory in the same local
// memory. So the interpreter knows no functions: kCall pushes the next index on the lane's return stack and jumps,
// kRet pops it (or ends the lane when the stack is empty). Recursion and calls through pointers are refused by parse().
//
// What the decoder has settled, so that the interpreter need not:
// - immediates and addresses of variables are entries of the kernel's constant table; an operand is a register, a
//   predicate, a constant or (only as source of kMov) a special register;
// - rare forms are written as sequences of simple instructions: setp p|q, setp.and, negated predicate operands,
// unpacking
//   moves, f16x2 compares. Instructions that have no effect here (prefetch, createpolicy, .pragma) are gone;
// - parameters of device functions are local memory; a call's arguments are copied by ordinary ld/st.local;
// - ld/st/atom of one kernel always name their space (kGeneric if none was given).
// PTX ISA: https://docs.nvidia.com/cuda/parallel-thread-execution/
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hearth::sim::ptx {

inline constexpr int kWarpSize = 32;
using LaneMask = std::uint32_t;  // bit i: lane i; the value of a predicate register of a warp

enum class Type : std::uint8_t {
  kNone,
  kPred,
  kB8,
  kB16,
  kB32,
  kB64,
  kB128,
  kU8,
  kU16,
  kU32,
  kU64,
  kS8,
  kS16,
  kS32,
  kS64,
  kF16,
  kF16x2,
  kBf16,
  kBf16x2,
  kTf32,
  kF32,
  kF64,
  kU16x2,
  kS16x2,
  kE4m3x2,
  kE5m2x2,
  kE4m3,
  kE5m2,  // 8-bit floats: cvt and mma only
  kS4,
  kU4,
  kB1,  // mma only
};
int bytes_of(Type type);  // of one element in memory; 0 for kNone, kPred and the types below a byte
const char* name_of(Type type);

// The state space of an address. Entry parameters are kParam (one copy per launch, read only, offset addresses).
enum class Space : std::uint8_t { kGeneric, kGlobal, kConst, kShared, kLocal, kParam };

enum class Op : std::uint8_t {
  // Lane arithmetic: lane_function() of sim/exec/lane_ops.h executes these. Operands: d, a, b, c, e.
  kAdd,
  kSub,
  kMul,
  kMad,
  kFma,
  kDiv,
  kRem,
  kAbs,
  kNeg,
  kMin,
  kMax,
  kSad,
  kMul24,
  kMad24,
  kPopc,
  kClz,
  kBfind,
  kFns,
  kBrev,
  kBfe,
  kBfi,
  kBmsk,
  kSzext,
  kDp4a,
  kDp2a,
  kRcp,
  kSqrt,
  kRsqrt,
  kSin,
  kCos,
  kLg2,
  kEx2,
  kTanh,
  kCopysign,
  kTestp,
  kAnd,
  kOr,
  kXor,
  kNot,
  kCnot,
  kLop3,
  kShl,
  kShr,
  kShf,
  kPrmt,
  kSetp,  // d: predicate; a, b
  kSet,
  kSelp /* c: predicate */,
  kSlct,
  kMov,      // also .pred; a may be a special register: then it is the interpreter's, not a lane function
  kPack,     // d = {a, b[, c, e]}, a in the low bits
  kExtract,  // d = part `part` of a, counted in units of d's width
  kCvt,      // type <- source
  kCvtPack,  // d = {b low, a high}: cvt.rn.f16x2.f32 d, a, b and its like; cvt.pack.sat: a, b[, c]
  // Across lanes: functions of sim/exec/lane_ops.h, but the interpreter gathers the lanes of the member mask first.
  kShfl,        // d, predicate or none, a, b, c, member mask
  kVote,        // d (predicate, or b32 for kBallot), predicate a, member mask
  kMatch,       // d, predicate or none (match.all), a, member mask
  kRedux,       // d, a, member mask
  kElect,       // d (b32 or none), predicate, member mask
  kActivemask,  // d
  // Memory. An address is two operands: base (register or constant, 4 or 8 bytes wide) and `displacement` beside it.
  kLd,        // `vector` destinations (kNone: discarded), base
  kSt,        // base, `vector` sources
  kAtom,      // d (kNone for red), base, b[, c for cas]; `vector` is 1; f16x2 and bf16x2 are per-element atomic
  kCvta,      // d, a: generic address of `space` address a, or back when `to_space`
  kIsspacep,  // d predicate, a generic address
  kLdmatrix,  // `vector` (1, 2, 4) destinations, base of shared: lanes 8i..8i+7 hold the row addresses of matrix i
  kStmatrix,  // base, `vector` sources
  kCpAsync,   // destination base (shared), source base (global), source size (kNone: all `bytes` of them).
              // displacement belongs to the destination, source_displacement to the source
  kCpAsyncCommit,
  kCpAsyncWaitGroup /* `count` groups may stay open */,
  kCpAsyncWaitAll,
  kMbarrierInit,     // base, count
  kMbarrierArrive,   // d (state b64, or kNone), base, count (or kNone: 1). `expect`: operand count is bytes expected
  kMbarrierTest,     // d predicate, base, state or parity; `part` 1: parity. try_wait is the same (may give false)
  kMbarrierInval,    // base
  kCpAsyncMbarrier,  // cp.async.mbarrier.arrive: base; `part` 1: .noinc
  kFence,            // membar, fence
  kMma,              // group[0] registers of d, then group[1] of a, group[2] of b, group[3] of c; `mma` says which
  // Control.
  kBranch,         // to `target`
  kBranchIndexed,  // a: index into branch_tables[target]
  kCall,           // to `target`
  kRet,
  kExit,
  kTrap,
  kBarrier,       // [d for red], barrier number, thread count (kNone: all of the block), [predicate for red]
  kWarpSync,      // member mask
  kNanosleep,     // a: a good moment to let others run
  kSpecialCount,  // not an instruction: how many there are
};

// Rounding. For cvt to an integer: to the nearest even, zero, minus and plus infinity.
enum class Rounding : std::uint8_t { kNone, kNearest, kZero, kDown, kUp, kNearestAway, kInteger = 8 };

enum class Compare : std::uint8_t {
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,  // ordered: false when an operand is a NaN
  kEqu,
  kNeu,
  kLtu,
  kLeu,
  kGtu,
  kGeu,  // true when an operand is a NaN
  kNum,
  kNan,
};
enum class Part : std::uint8_t { kNone, kLow, kHigh, kWide };  // mul.lo, .hi, .wide
enum class AtomicOp : std::uint8_t { kAdd, kMin, kMax, kAnd, kOr, kXor, kExch, kCas, kInc, kDec };
enum class ShuffleMode : std::uint8_t { kUp, kDown, kButterfly, kIndex };
enum class VoteMode : std::uint8_t { kAll, kAny, kUniform, kBallot };
enum class MatchMode : std::uint8_t { kAny, kAll };
enum class BarrierMode : std::uint8_t { kSync, kArrive, kPopc, kAnd, kOr };
enum class PermuteMode : std::uint8_t { kIndex, kF4e, kB4e, kRc8, kEcl, kEcr, kRc16 };
enum class TestProperty : std::uint8_t { kFinite, kInfinite, kNumber, kNotANumber, kNormal, kSubnormal };
enum class ShiftMode : std::uint8_t { kLeftClamp, kLeftWrap, kRightClamp, kRightWrap };  // shf, bmsk, szext
enum class Scope : std::uint8_t { kNone, kCta, kCluster, kGpu, kSys };
enum class Order : std::uint8_t { kWeak, kRelaxed, kVolatile, kAcquire, kRelease, kAcqRel, kSc };

enum class Special : std::uint8_t {
  kTidX,
  kTidY,
  kTidZ,
  kNtidX,
  kNtidY,
  kNtidZ,
  kCtaidX,
  kCtaidY,
  kCtaidZ,
  kNctaidX,
  kNctaidY,
  kNctaidZ,
  kLaneid,
  kWarpid,
  kNwarpid,
  kSmid,
  kNsmid,
  kGridid,
  kLanemaskEq,
  kLanemaskLe,
  kLanemaskLt,
  kLanemaskGe,
  kLanemaskGt,
  kClock,
  kClockHi,
  kClock64,
  kGlobaltimer,
  kGlobaltimerLo,
  kGlobaltimerHi,
  kDynamicSharedBytes,
  kTotalSharedBytes,
};

struct Operand {
  enum class Kind : std::uint8_t { kNone, kRegister, kPredicate, kConstant, kSpecial };
  Kind kind = Kind::kNone;
  std::uint8_t bytes = 0;   // width of one lane: 2, 4 or 8; a predicate has 0 (its register is one LaneMask)
  std::uint32_t index = 0;  // kRegister, kPredicate: byte offset in the warp's register frame (Kernel::register_bytes)
                            // kConstant: index into Kernel::constants; kSpecial: a Special
};

struct MmaShape {
  std::uint8_t m = 0, n = 0, k = 0;
  Type a = Type::kNone, b = Type::kNone, c = Type::kNone, d = Type::kNone;
  bool saturate = false;  // .satfinite of integers
  bool operator==(const MmaShape&) const = default;
};

// One instruction. A field that the comment of the Op or of the field does not mention is not used by it.
struct Instruction {
  Op op{};
  Type type = Type::kNone;  // of the operation and its result; of memory accesses: of one element in memory
  Type source =
      Type::kNone;  // of the sources where they differ: cvt, set, slct (type of c), dp4a/dp2a (of b; type is a's)
  Rounding rounding = Rounding::kNone;
  bool flush_subnormals = false;  // .ftz
  bool saturate = false;          // .sat: [0, 1] for floats, the type's range for integers; .satfinite of 8-bit floats
  bool approximate = false;       // .approx, .full
  bool relu = false;              // cvt, fma: negative and NaN become 0 (NaN stays for min, max)
  bool propagate_nan = false;     // .NaN of min and max
  bool xor_sign = false;          // .xorsign.abs of min and max
  bool carry_in = false;          // addc, subc, madc: operand e is the predicate that holds the carry
  bool carry_out = false;         // .cc: operand e likewise
  Compare compare{};              // setp, set
  Part half{};                    // mul, mad, mul24, mad24; kLow or kHigh of dp2a; kWide also of shift amounts: unused
  std::uint8_t part = 0;          // kExtract; lop3: the look-up table; bfind .shiftamt: 1; see kMbarrier*
  union {
    AtomicOp atomic;      // kAtom, kRedux
    ShuffleMode shuffle;  // kShfl
    VoteMode vote;        // kVote
    MatchMode match;      // kMatch
    BarrierMode barrier;  // kBarrier
    PermuteMode permute;  // kPrmt
    TestProperty testp;   // kTestp
    ShiftMode shift;      // kShf, kBmsk, kSzext (clamp or wrap)
    std::uint8_t raw = 0;
  };
  Space space{};              // memory: of the address; kCvta, kIsspacep; kCpAsync: kGlobal
  Scope scope{};              // kAtom, kLd, kSt, kFence
  Order order{};              // kAtom, kLd, kSt, kFence
  bool non_coherent = false;  // ld.global.nc: memory that no thread of the launch may write
  bool to_space = false;      // kCvta
  bool transpose = false;     // kLdmatrix, kStmatrix: .trans
  bool uniform = false;       // bra.uni, call.uni: all lanes agree, says the compiler
  bool aligned = false;       // kBarrier: .aligned (bar.sync): all lanes of the warp execute it together
  bool expect = false;        // kMbarrierArrive
  std::uint8_t vector = 1;    // number of elements of kLd, kSt, kLdmatrix
  std::uint8_t bytes = 0;     // kCpAsync: 4, 8 or 16
  std::uint16_t count = 0;    // kCpAsyncWaitGroup
  bool guarded = false;       // @p or @!p
  bool guard_negated = false;
  std::uint32_t guard = 0;               // offset of the predicate in the register frame
  std::uint32_t target = 0;              // index into Kernel::code; kBranchIndexed: into Kernel::branch_tables
  std::int32_t displacement = 0;         // added to the address base
  std::int32_t source_displacement = 0;  // kCpAsync
  std::uint32_t first_operand = 0;       // into Kernel::operands
  std::uint8_t operand_count = 0;
  std::array<std::uint8_t, 4> group{};  // kMma: number of registers of d, a, b, c
  std::uint8_t mma = 0;                 // kMma: index into Kernel::mma_shapes
  std::uint32_t line = 0;               // of the PTX text, from 1
};

// How many of the instruction's operands, from the first on, are results (kNone among them counted). The carry of
// add.cc and its like, operand e, is a result besides.
std::size_t result_count(const Instruction& instruction);

// A value that operands name. Without a variable: the value's low `bytes` bytes. With one: the device address at
// which the module's variable was placed, plus value.
struct Constant {
  std::uint64_t value = 0;
  std::int32_t variable = -1;  // index into Module::variables
  std::uint8_t bytes = 4;      // 2, 4 or 8
  bool operator==(const Constant&) const = default;
};

// A module-scope variable in .global or .const memory: the one who loads the module gives it a device address.
struct Variable {
  struct Reference {  // a pointer inside the initial bytes: 8 bytes at `offset` become the address of `variable` +
                      // addend
    std::uint64_t offset = 0;
    std::uint32_t variable = 0;
    std::int64_t addend = 0;
  };
  std::string name;
  Space space = Space::kGlobal;  // or kConst
  std::uint64_t bytes = 0;
  std::uint32_t alignment = 1;
  std::vector<std::uint8_t> initial;  // empty: zero (.global and .const without initialiser are zeroed)
  std::vector<Reference> references;
  bool initialised = false;  // has an initialiser
};

struct Parameter {
  std::uint32_t offset = 0;  // in the parameter block of the launch
  std::uint32_t bytes = 0;
  std::uint32_t alignment = 1;
};

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  std::uint32_t parameter_bytes = 0;
  std::uint32_t static_shared_bytes = 0;    // shared addresses start at 0; static variables lie in [0, this)
  std::uint32_t dynamic_shared_offset = 0;  // where extern shared arrays begin (aligned as they ask, at least 16)
  std::uint32_t local_bytes = 0;            // per thread; local addresses start at 0
  std::uint32_t register_bytes = 0;     // of a warp's register frame: arrays of 32 lanes, 64-byte aligned, and masks
  std::uint32_t virtual_registers = 0;  // how many the text declares and uses, for reports
  std::array<std::uint32_t, 3> max_threads{};  // .maxntid / .reqntid; zeros: not given
  bool exact_threads = false;                  // .reqntid: the block must have exactly these
  std::uint32_t entry = 0;                     // index of the first instruction (called functions lie before it)
  std::uint32_t max_call_depth = 0;            // return stack entries that a lane can need
  bool uses_barriers = false;
  std::vector<Instruction> code;
  std::vector<Operand> operands;
  std::vector<Constant> constants;
  std::vector<std::vector<std::uint32_t>> branch_tables;
  std::vector<MmaShape> mma_shapes;
};

struct Module {
  int version = 0;        // .version 8.0: 80; 9.0: 90
  int target = 0;         // .target sm_75: 75
  bool specific = false;  // sm_90a, sm_100f: runs only on that very architecture (or family)
  int address_bytes = 8;
  std::vector<Variable> variables;
  std::vector<Kernel> kernels;

  const Kernel* find_kernel(const std::string& name) const;
  const Variable* find_variable(const std::string& name) const;
};

}  // namespace hearth::sim::ptx
