#include "data/image/decode_png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/image/convert_pixels.h"
#include "data/image/orientation.h"

namespace lockstep::data {
namespace {

/// libpng's state. Its errors come back by longjmp, so that nothing with a destructor may live in functions that call
/// it.
class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, const Origin& origin) : origin_(origin), rest_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &Decoder::Fail, [](png_structp, png_const_charp) {});
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      Destroy();
      throw Error(ErrorKind::kMemory, "there is no memory for a PNG", origin.path);
    }
    try {
      Start();
    } catch (...) {
      Destroy();
      throw;
    }
  }
  ~Decoder() { Destroy(); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Calls `action`, in which libpng may fail. REQUIRES: nothing in it needs a destructor.
  template <typename F>
  void Call(F&& action) {
    if (setjmp(jump_) == 0) {
      action();
      return;
    }
    throw origin_.Bad(fmt::format("the PNG is damaged or cut off: {}", message_), "copy or make the file again");
  }
  png_structp png() { return png_; }
  png_infop info() { return info_; }
  int64_t height() { return png_get_image_height(png_, info_); }
  int64_t width() { return png_get_image_width(png_, info_); }

 private:
  void Start() {
    Call([&] {
      constexpr png_uint_32 kMostSide = 0x7FFFFFFF;
      constexpr png_alloc_size_t kMostChunk = 1 << 20;  // of texts and profiles, which are unpacked too
      png_set_read_fn(png_, this, &Decoder::ReadBytes);
      png_set_user_limits(png_, kMostSide, kMostSide);
      png_set_chunk_malloc_max(png_, kMostChunk);
      png_read_info(png_, info_);
    });
  }
  void Destroy() { png_destroy_read_struct(&png_, &info_, nullptr); }

  [[noreturn]] static void Fail(png_structp png, png_const_charp message) {
    auto& self = *static_cast<Decoder*>(png_get_error_ptr(png));
    std::strncpy(self.message_, message, sizeof self.message_ - 1);
    std::longjmp(self.jump_, 1);
  }
  static void ReadBytes(png_structp png, png_bytep to, size_t count) {
    auto& rest = static_cast<Decoder*>(png_get_io_ptr(png))->rest_;
    if (count > rest.size()) png_error(png, "it ends too early");
    std::memcpy(to, rest.data(), count);
    rest = rest.subspan(count);
  }

  const Origin& origin_;
  std::span<const std::byte> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_;
  char message_[128] = {};
};

Orientation OrientationOf(Decoder& decoder) {
  png_bytep exif = nullptr;
  png_uint_32 size = 0;
  if (png_get_eXIf_1(decoder.png(), decoder.info(), &size, &exif) == 0) return {};
  return ReadOrientation(std::as_bytes(std::span(exif, size)));
}

/// Refuses pictures with more pixels than the file can hold: deflate packs at most 1032 bytes into one.
void RequireBytes(Decoder& decoder, size_t file_bytes, const Origin& origin) {
  constexpr uint64_t kMostPacked = 1032;
  const uint64_t pixels = static_cast<uint64_t>(decoder.height()) * static_cast<uint64_t>(decoder.width());
  const uint64_t bits =
      png_get_bit_depth(decoder.png(), decoder.info()) * uint64_t{png_get_channels(decoder.png(), decoder.info())};
  if (pixels * bits / 8 / kMostPacked <= file_bytes) return;
  throw origin.Bad(fmt::format("the PNG is damaged or cut off: {} bytes can't hold {} x {} pixels", file_bytes,
                               decoder.width(), decoder.height()),
                   "copy or make the file again");
}

/// Asks for bytes without transparency: grey or RGB.
PixelKind ChoosePixels(Decoder& decoder) {
  decoder.Call([&] {
    png_set_palette_to_rgb(decoder.png());
    png_set_expand_gray_1_2_4_to_8(decoder.png());
    png_set_strip_16(decoder.png());
    png_set_strip_alpha(decoder.png());
    png_set_interlace_handling(decoder.png());
    png_read_update_info(decoder.png(), decoder.info());
  });
  const int values = png_get_channels(decoder.png(), decoder.info());
  CHECK(values == 1 || values == 3, "a PNG's pixels have {} values", values);
  return values == 1 ? PixelKind::kGrey : PixelKind::kRgb;
}

/// The rows of `region` as they are stored; of an interlaced picture all rows must be read for any.
void ReadRegion(Decoder& decoder, PixelKind kind, const ImageRegion& region, int channels, Image& image) {
  image.Resize(region.height, region.width, channels);
  const int64_t values = ValuesOf(kind);
  const auto row_bytes = static_cast<size_t>(decoder.width() * values);
  const auto convert = [&](const uint8_t* row, int64_t y) {
    ConvertPixels(row + region.left * values, kind, region.width, channels, image.row(y - region.top));
  };
  if (png_get_interlace_type(decoder.png(), decoder.info()) == PNG_INTERLACE_NONE) {
    std::vector<uint8_t> row(row_bytes);
    decoder.Call([&] {
      for (int64_t y = 0; y < region.top + region.height; ++y) {
        png_read_row(decoder.png(), row.data(), nullptr);
        if (y >= region.top) convert(row.data(), y);
      }
    });
    return;
  }
  std::vector<uint8_t> all(row_bytes * static_cast<size_t>(decoder.height()));
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < decoder.height(); ++y) rows.push_back(all.data() + static_cast<size_t>(y) * row_bytes);
  decoder.Call([&] { png_read_image(decoder.png(), rows.data()); });
  for (int64_t y = region.top; y < region.top + region.height; ++y) convert(rows[static_cast<size_t>(y)], y);
}

}  // namespace

ImageHeader ReadPngHeader(std::span<const std::byte> bytes, const Origin& origin, int64_t most_pixels) {
  Decoder decoder(bytes, origin);
  RequirePixels(decoder.height(), decoder.width(), most_pixels, origin);
  ImageHeader header{decoder.height(), decoder.width(), /*reducible=*/false};
  if (OrientationOf(decoder).transpose) std::swap(header.height, header.width);
  return header;
}

void DecodePng(std::span<const std::byte> bytes, const DecodeOptions& options, const Origin& origin, Image& image) {
  CHECK(options.reduction == 1);
  Decoder decoder(bytes, origin);
  const int64_t height = decoder.height(), width = decoder.width();
  RequirePixels(height, width, options.most_pixels, origin);
  RequireBytes(decoder, bytes.size(), origin);
  const Orientation orientation = OrientationOf(decoder);
  const PixelKind kind = ChoosePixels(decoder);
  ImageRegion region{0, 0, height, width};
  if (options.region) region = StoredRegion(orientation, *options.region, height, width);
  CHECK(region.top >= 0 && region.left >= 0 && region.height > 0 && region.width > 0 &&
        region.top + region.height <= height && region.left + region.width <= width);
  ReadRegion(decoder, kind, region, options.channels, image);
  MakeUpright(orientation, image);
}

}  // namespace lockstep::data
