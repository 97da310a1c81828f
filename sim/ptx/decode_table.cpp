// Every mnemonic and special register that is understood.
#include "sim/ptx/decoder.h"

namespace hearth::sim::ptx {

const Form* find_form(std::string_view mnemonic) {
  using D = FunctionDecoder;
  constexpr std::uint32_t kFloat = kRoundings | kFtz | kSat;
  static const std::unordered_map<std::string_view, Form> forms{
      // arithmetic: operands and modifiers as listed
      {"add", {&D::alu, Op::kAdd, "ttt", kFloat | kCarry}},
      {"sub", {&D::alu, Op::kSub, "ttt", kFloat | kCarry}},
      {"addc", {&D::alu, Op::kAdd, "ttt", kCarry | kCarryIn}},
      {"subc", {&D::alu, Op::kSub, "ttt", kCarry | kCarryIn}},
      {"mul", {&D::alu, Op::kMul, "wtt", kFloat | kHalves}},
      {"mad", {&D::alu, Op::kMad, "wttw", kFloat | kHalves | kCarry}},
      {"madc", {&D::alu, Op::kMad, "wttw", kHalves | kCarry | kCarryIn}},
      {"fma", {&D::alu, Op::kFma, "tttt", kFloat | kRelu}},
      {"div", {&D::alu, Op::kDiv, "ttt", kRoundings | kFtz | kApprox | kFull}},
      {"rem", {&D::alu, Op::kRem, "ttt", 0}},
      {"abs", {&D::alu, Op::kAbs, "tt", kFtz}},
      {"neg", {&D::alu, Op::kNeg, "tt", kFtz}},
      {"min", {&D::alu, Op::kMin, "ttt", kFtz | kNan | kRelu}},
      {"max", {&D::alu, Op::kMax, "ttt", kFtz | kNan | kRelu}},
      {"sad", {&D::alu, Op::kSad, "tttt", 0}},
      {"mul24", {&D::alu, Op::kMul24, "ttt", kHalves}},
      {"mad24", {&D::alu, Op::kMad24, "tttt", kHalves | kSat}},
      {"popc", {&D::alu, Op::kPopc, "ut", 0}},
      {"clz", {&D::alu, Op::kClz, "ut", 0}},
      {"bfind", {&D::alu, Op::kBfind, "ut", kShiftAmount}},
      {"fns", {&D::alu, Op::kFns, "tttt", 0}},
      {"brev", {&D::alu, Op::kBrev, "tt", 0}},
      {"bfe", {&D::alu, Op::kBfe, "ttuu", 0}},
      {"bfi", {&D::alu, Op::kBfi, "tttuu", 0}},
      {"bmsk", {&D::alu, Op::kBmsk, "ttt", kClampWrap}},
      {"szext", {&D::alu, Op::kSzext, "ttt", kClampWrap}},
      {"rcp", {&D::alu, Op::kRcp, "tt", kRoundings | kFtz | kApprox}},
      {"sqrt", {&D::alu, Op::kSqrt, "tt", kRoundings | kFtz | kApprox}},
      {"rsqrt", {&D::alu, Op::kRsqrt, "tt", kFtz | kApprox}},
      {"sin", {&D::alu, Op::kSin, "tt", kFtz | kApprox}},
      {"cos", {&D::alu, Op::kCos, "tt", kFtz | kApprox}},
      {"lg2", {&D::alu, Op::kLg2, "tt", kFtz | kApprox}},
      {"ex2", {&D::alu, Op::kEx2, "tt", kFtz | kApprox}},
      {"tanh", {&D::alu, Op::kTanh, "tt", kApprox}},
      {"copysign", {&D::alu, Op::kCopysign, "ttt", 0}},
      {"shl", {&D::alu, Op::kShl, "ttu", 0}},
      {"shr", {&D::alu, Op::kShr, "ttu", 0}},
      {"testp", {&D::testp, Op::kTestp}},
      {"and", {&D::logic, Op::kAnd, "ttt"}},
      {"or", {&D::logic, Op::kOr, "ttt"}},
      {"xor", {&D::logic, Op::kXor, "ttt"}},
      {"not", {&D::logic, Op::kNot, "tt"}},
      {"cnot", {&D::logic, Op::kCnot, "tt"}},
      {"lop3", {&D::lop3, Op::kLop3}},
      {"shf", {&D::shf, Op::kShf}},
      {"prmt", {&D::prmt, Op::kPrmt}},
      {"dp4a", {&D::dot_product, Op::kDp4a}},
      {"dp2a", {&D::dot_product, Op::kDp2a}},
      {"setp", {&D::setp, Op::kSetp}},
      {"set", {&D::set, Op::kSet}},
      {"selp", {&D::selp, Op::kSelp}},
      {"slct", {&D::slct, Op::kSlct}},
      {"mov", {&D::mov, Op::kMov}},
      {"cvt", {&D::cvt, Op::kCvt}},
      // memory
      {"ld", {&D::ld, Op::kLd}},
      {"ldu", {&D::ld, Op::kLd}},
      {"st", {&D::st, Op::kSt}},
      {"atom", {&D::atom, Op::kAtom, "atom"}},
      {"red", {&D::atom, Op::kAtom, "red"}},
      {"cvta", {&D::cvta, Op::kCvta}},
      {"isspacep", {&D::isspacep, Op::kIsspacep}},
      {"prefetch", {&D::hint}},
      {"prefetchu", {&D::hint}},
      {"discard", {&D::hint}},
      {"applypriority", {&D::hint}},
      {"createpolicy", {&D::createpolicy}},
      {"ldmatrix", {&D::ldmatrix, Op::kLdmatrix}},
      {"stmatrix", {&D::ldmatrix, Op::kStmatrix}},
      {"cp", {&D::cp}},
      {"mbarrier", {&D::mbarrier}},
      {"fence", {&D::fence, Op::kFence}},
      {"membar", {&D::fence, Op::kFence}},
      // across lanes
      {"shfl", {&D::shfl, Op::kShfl}},
      {"vote", {&D::vote, Op::kVote}},
      {"match", {&D::match, Op::kMatch}},
      {"redux", {&D::redux, Op::kRedux}},
      {"elect", {&D::elect, Op::kElect}},
      {"activemask", {&D::activemask, Op::kActivemask}},
      {"mma", {&D::mma, Op::kMma}},
      // control
      {"bra", {&D::bra, Op::kBranch}},
      {"brx", {&D::brx, Op::kBranchIndexed}},
      {"call", {&D::call, Op::kCall}},
      {"ret", {&D::simple_control, Op::kRet}},
      {"exit", {&D::simple_control, Op::kExit}},
      {"trap", {&D::simple_control, Op::kTrap}},
      {"brkpt", {&D::simple_control, Op::kTrap}},
      {"bar", {&D::bar, Op::kBarrier, "aligned"}},
      {"barrier", {&D::bar, Op::kBarrier, ""}},
      {"nanosleep", {&D::nanosleep, Op::kNanosleep}},
  };
  const auto found = forms.find(mnemonic);
  return found == forms.end() ? nullptr : &found->second;
}

std::optional<Operand> FunctionDecoder::special(std::string_view name) {
  struct Register {
    Special special;
    std::uint8_t bytes = 4;
  };
  static const std::unordered_map<std::string_view, Register> registers{
      {"%tid.x", {Special::kTidX}},
      {"%tid.y", {Special::kTidY}},
      {"%tid.z", {Special::kTidZ}},
      {"%ntid.x", {Special::kNtidX}},
      {"%ntid.y", {Special::kNtidY}},
      {"%ntid.z", {Special::kNtidZ}},
      {"%ctaid.x", {Special::kCtaidX}},
      {"%ctaid.y", {Special::kCtaidY}},
      {"%ctaid.z", {Special::kCtaidZ}},
      {"%nctaid.x", {Special::kNctaidX}},
      {"%nctaid.y", {Special::kNctaidY}},
      {"%nctaid.z", {Special::kNctaidZ}},
      // Without clusters every block is one.
      {"%clusterid.x", {Special::kCtaidX}},
      {"%clusterid.y", {Special::kCtaidY}},
      {"%clusterid.z", {Special::kCtaidZ}},
      {"%nclusterid.x", {Special::kNctaidX}},
      {"%nclusterid.y", {Special::kNctaidY}},
      {"%nclusterid.z", {Special::kNctaidZ}},
      {"%laneid", {Special::kLaneid}},
      {"%warpid", {Special::kWarpid}},
      {"%nwarpid", {Special::kNwarpid}},
      {"%smid", {Special::kSmid}},
      {"%nsmid", {Special::kNsmid}},
      {"%gridid", {Special::kGridid, 8}},
      {"%lanemask_eq", {Special::kLanemaskEq}},
      {"%lanemask_le", {Special::kLanemaskLe}},
      {"%lanemask_lt", {Special::kLanemaskLt}},
      {"%lanemask_ge", {Special::kLanemaskGe}},
      {"%lanemask_gt", {Special::kLanemaskGt}},
      {"%clock", {Special::kClock}},
      {"%clock_hi", {Special::kClockHi}},
      {"%clock64", {Special::kClock64, 8}},
      {"%globaltimer", {Special::kGlobaltimer, 8}},
      {"%globaltimer_lo", {Special::kGlobaltimerLo}},
      {"%globaltimer_hi", {Special::kGlobaltimerHi}},
      {"%dynamic_smem_size", {Special::kDynamicSharedBytes}},
      {"%total_smem_size", {Special::kTotalSharedBytes}},
  };
  static const std::unordered_map<std::string_view, std::uint32_t> constants{
      {"%cluster_ctaid.x", 0},  {"%cluster_ctaid.y", 0},  {"%cluster_ctaid.z", 0},  {"%cluster_ctarank", 0},
      {"%cluster_nctaid.x", 1}, {"%cluster_nctaid.y", 1}, {"%cluster_nctaid.z", 1}, {"%cluster_nctarank", 1},
  };
  if (const auto found = registers.find(name); found != registers.end()) {
    return Operand{Operand::Kind::kSpecial, found->second.bytes, static_cast<std::uint32_t>(found->second.special)};
  }
  if (const auto found = constants.find(name); found != constants.end()) return builder_.constant(found->second, 4);
  return std::nullopt;
}

}  // namespace hearth::sim::ptx
