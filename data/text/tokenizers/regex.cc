#include "data/text/tokenizers/regex.h"

#include <fmt/format.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <new>
#include <stdexcept>

#include "base/error.h"

namespace lockstep::data {
namespace {

constexpr size_t kFirstStack = 32 << 10, kMostStack = 4 << 20;

std::string Reason(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

[[noreturn]] void Unsupported(std::string_view what) {
  throw std::invalid_argument(fmt::format("{} is not supported", what));
}

/// Goes through an Oniguruma pattern and writes PCRE2's.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  std::string Run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        Escape();
      } else if (in_class_) {
        ClassCharacter(c);
      } else {
        if (c == '[')
          EnterClass();
        else
          Copy(1);
      }
    }
    return out_;
  }

 private:
  void Copy(size_t count) {
    out_ += in_.substr(at_, count);
    at_ += count;
  }
  bool Next(std::string_view text) const { return in_.substr(at_).starts_with(text); }

  void EnterClass() {
    in_class_ = true;
    Copy(1);
    if (Next("^")) Copy(1);
    if (Next("]")) Unsupported("']' as the first character of a class");
  }

  void ClassCharacter(char c) {
    if (c == '[') Unsupported("a class within a class");
    if (Next("&&")) Unsupported("'&&' in a class");
    in_class_ = c != ']';
    Copy(1);
  }

  void Escape() {
    if (at_ + 1 == in_.size()) throw std::invalid_argument("the pattern ends in the middle of an escape");
    const char c = in_[at_ + 1];
    static constexpr std::string_view kSameLetters = "pPnrtf";
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (kSameLetters.find(c) != std::string_view::npos || (!letter && (c < '0' || c > '9'))) return Copy(2);
    at_ += 2;
    switch (c) {
      case 's':
        out_ += "\\p{WSpace}";
        return;
      case 'S':
        out_ += "\\P{WSpace}";
        return;
      case 'd':
        out_ += "\\p{Nd}";
        return;
      case 'D':
        out_ += "\\P{Nd}";
        return;
      case 'v':
        out_ += "\\x{0B}";
        return;
      case 'x':
        if (!Next("{")) break;
        out_ += "\\x";
        return;
      case 'u':
        out_ += fmt::format("\\x{{{}}}", in_.substr(at_, 4));
        at_ = std::min(at_ + 4, in_.size());
        return;
      default:
        break;
    }
    Unsupported(fmt::format("'\\{}'{}", c, in_class_ ? " in a class" : ""));
  }

  std::string_view in_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

RegexMemory::RegexMemory()
    : data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      stack_(pcre2_jit_stack_create(kFirstStack, kMostStack, nullptr)) {
  if (data_ == nullptr || context_ == nullptr || stack_ == nullptr) throw std::bad_alloc();
  pcre2_jit_stack_assign(context_, nullptr, stack_);
}

RegexMemory::~RegexMemory() {
  pcre2_match_data_free(data_);
  pcre2_match_context_free(context_);
  pcre2_jit_stack_free(stack_);
}

void Regex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Regex::Regex(const std::string& pattern, uint32_t options) {
  int error = 0;
  PCRE2_SIZE at = 0;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options | PCRE2_UTF, &error,
                            &at, nullptr));
  if (!code_) throw std::invalid_argument(fmt::format("{} (at byte {} of '{}')", Reason(error), at, pattern));
  pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // where it can't be had, pcre2_match interprets
}

Regex Regex::FromOniguruma(std::string_view pattern) {
  // In Ruby's syntax ^ and $ are a line's.
  return Regex(TranslateOniguruma(pattern), PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C);
}

Regex Regex::FromLiteral(std::string_view text) { return Regex(std::string(text), PCRE2_LITERAL); }

bool Regex::Find(std::string_view text, size_t from, RegexMemory& memory, size_t& begin, size_t& end) const {
  const int result = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                 PCRE2_NO_UTF_CHECK, memory.data_, memory.context_);
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) {
    throw Error(ErrorKind::kData, fmt::format("a text can't be cut into words: {}", Reason(result)), "",
                "the vocabulary's pattern takes too long on it: break up long runs without spaces");
  }
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(memory.data_);
  begin = ends[0];
  end = ends[1];
  return true;
}

std::string TranslateOniguruma(std::string_view pattern) { return Translator(pattern).Run(); }

}  // namespace lockstep::data
