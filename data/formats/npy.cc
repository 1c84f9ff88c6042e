#include "data/formats/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

namespace lockstep::data {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// The header's dictionary, of which Python's writer makes no more than strings, True and False, and tuples of
/// integers.
class Dictionary {
 public:
  Dictionary(std::string_view text, const Origin& origin) : text_(text), origin_(origin) {}

  void Read(NpyHeader& header) {
    bool type = false, order = false, shape = false;
    Require('{');
    while (!Take('}')) {
      const std::string key = ReadString();
      Require(':');
      if (key == "descr") {
        type = true;
        header.descr = ReadType();
      } else if (key == "fortran_order") {
        order = true;
        header.fortran_order = ReadBoolean();
      } else if (key == "shape") {
        shape = true;
        header.shape = ReadShape();
      } else {
        throw Damaged();
      }
      if (!Take(',') && !Ahead('}')) throw Damaged();
    }
    if (!type || !order || !shape) throw Damaged();
  }

 private:
  Error Damaged() const {
    return origin_.Bad(fmt::format("its NumPy header can't be read near byte {} of {}", at_, text_.size()),
                       "save the array again: numpy.save");
  }
  bool Ahead(char c) {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ < text_.size() && text_[at_] == c;
  }
  bool Take(char c) {
    if (!Ahead(c)) return false;
    ++at_;
    return true;
  }
  void Require(char c) {
    if (!Take(c)) throw Damaged();
  }

  std::string ReadString() {
    const char quote = Ahead('"') ? '"' : '\'';
    Require(quote);
    const size_t end = text_.find(quote, at_);
    if (end == text_.npos) throw Damaged();
    const std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }
  std::string ReadType() {
    if (Ahead('['))
      throw origin_.Bad("is a NumPy array of records, of several fields each", "save each of its fields apart");
    return ReadString();
  }
  bool ReadBoolean() {
    for (const std::string_view word : {"True", "False"}) {
      if (!Ahead(word[0]) || !text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    throw Damaged();
  }
  std::vector<int64_t> ReadShape() {
    std::vector<int64_t> shape;
    Require('(');
    while (!Take(')')) {
      Ahead(')');  // passes over blanks
      int64_t value = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
      if (error != std::errc() || value < 0 || shape.size() == 32) throw Damaged();
      at_ = static_cast<size_t>(end - text_.data());
      Take('L');  // of Python 2
      shape.push_back(value);
      if (!Take(',') && !Ahead(')')) throw Damaged();
    }
    return shape;
  }

  const std::string_view text_;
  const Origin& origin_;
  size_t at_ = 0;
};

/// What the type's name says: "<f4".
void DescribeType(const Origin& origin, NpyHeader& header) {
  const std::string& descr = header.descr;
  const Error unknown = origin.Bad(fmt::format("is a NumPy array of a type that is not read: {}", descr),
                                   "save it with array.astype(numpy.float32), words with astype(str)");
  if (descr.size() < 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos) throw unknown;
  header.big_endian = descr[0] == '>';
  header.kind = descr[1];
  uint32_t width = 0;
  const auto [end, error] = std::from_chars(descr.data() + 2, descr.data() + descr.size(), width);
  if (error != std::errc() || end != descr.data() + descr.size() || width > (1u << 20)) throw unknown;
  header.width = header.kind == 'U' ? size_t{4} * width : width;
  const bool number = header.kind == 'u' || header.kind == 'i' || header.kind == 'f';
  const bool plain = number ? width == 2 || width == 4 || width == 8 || (width == 1 && header.kind != 'f')
                            : (header.kind == 'b' && width == 1) || header.kind == 'U' || header.kind == 'S';
  if (!plain) throw unknown;
}

uint64_t CountElements(const NpyHeader& header, const Origin& origin) {
  uint64_t elements = 1;
  bool overflow = false;
  for (const int64_t dim : header.shape)
    overflow |= __builtin_mul_overflow(elements, static_cast<uint64_t>(dim), &elements);
  uint64_t bytes = 0;
  overflow |= __builtin_mul_overflow(elements, uint64_t{header.width}, &bytes);
  if (overflow)
    throw origin.Bad(fmt::format("the shape ({}) in its NumPy header is impossible", fmt::join(header.shape, ", ")));
  return elements;
}

/// Of an array whose first index runs fastest: its elements with the last one fastest.
std::vector<std::byte> ToRowMajor(std::span<const std::byte> elements, const NpyHeader& header) {
  const size_t width = header.width, rank = header.shape.size();
  std::vector<size_t> strides(rank, width), index(rank);
  for (size_t i = 1; i < rank; ++i) strides[i] = strides[i - 1] * static_cast<size_t>(header.shape[i - 1]);
  std::vector<std::byte> result(elements.size());
  size_t from = 0;
  for (size_t to = 0; to < result.size(); to += width) {
    std::memcpy(result.data() + to, elements.data() + from, width);
    for (size_t i = rank; i-- > 0;) {
      from += strides[i];
      if (++index[i] < static_cast<size_t>(header.shape[i])) break;
      from -= strides[i] * index[i];
      index[i] = 0;
    }
  }
  return result;
}

void ReverseBytes(std::span<std::byte> elements, size_t width) {
  for (size_t at = 0; at < elements.size(); at += width)
    std::reverse(elements.begin() + static_cast<ptrdiff_t>(at), elements.begin() + static_cast<ptrdiff_t>(at + width));
}

}  // namespace

bool IsNpy(std::span<const std::byte> beginning) {
  return beginning.size() >= 12 && std::memcmp(beginning.data(), kMagic.data(), kMagic.size()) == 0;
}

NpyHeader ParseNpyHeader(std::span<const std::byte> beginning, const Origin& origin) {
  if (!IsNpy(beginning)) throw origin.Bad("is no NumPy array: it does not begin as .npy files do");
  const size_t length_bytes = static_cast<int>(beginning[6]) > 1 ? 4 : 2, begin = 8 + length_bytes;
  uint32_t length = 0;
  std::memcpy(&length, beginning.data() + 8, length_bytes);
  if (begin + length > beginning.size())
    throw origin.Bad("its NumPy header is cut off", "copy or save the array again");
  NpyHeader header;
  header.bytes = begin + length;
  Dictionary({reinterpret_cast<const char*>(beginning.data()) + begin, length}, origin).Read(header);
  DescribeType(origin, header);
  return header;
}

NpyArray ReadNpy(std::vector<std::byte> file, const Origin& origin) {
  NpyArray array{.header = ParseNpyHeader(file, origin), .bytes = {}, .offset = 0};
  NpyHeader& header = array.header;
  const uint64_t wanted = CountElements(header, origin) * header.width, there = file.size() - header.bytes;
  if (there != wanted)
    throw origin.Bad(fmt::format("{} bytes follow its NumPy header, which promises {}: shape ({}) of {}", there, wanted,
                                 fmt::join(header.shape, ", "), header.descr),
                     "copy or save the array again");
  array.bytes = std::move(file);
  array.offset = header.bytes;
  if (header.fortran_order && header.shape.size() > 1 && header.width > 0) {
    array.bytes = ToRowMajor(array.elements(), header);
    array.offset = 0;
  }
  const size_t unit = header.kind == 'U' ? 4 : header.kind == 'S' ? 1 : header.width;
  if (header.big_endian && unit > 1) ReverseBytes(std::span(array.bytes).subspan(array.offset), unit);
  return array;
}

std::string NpyHeaderBytes(const std::string& descr, std::span<const int64_t> shape) {
  constexpr size_t kAlignment = 64, kFront = 10;  // elements begin at a multiple; magic number, version and length
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", descr,
                                 fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  text.resize((kFront + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment - kFront - 1, ' ');
  text += '\n';
  std::string bytes("\x93NUMPY\x01\0", 8);
  bytes += static_cast<char>(text.size() & 0xff);
  bytes += static_cast<char>(text.size() >> 8);
  return bytes + text;
}

}  // namespace lockstep::data
