#include "data/image/decode_image.h"

#include <string_view>

#include "base/error.h"
#include "data/file_kind.h"
#include "data/image/decode_jpeg.h"
#include "data/image/decode_png.h"

namespace lockstep::data {
namespace {

bool BeginsWith(std::span<const std::byte> bytes, std::string_view magic) {
  return bytes.size() >= magic.size() &&
         std::string_view(reinterpret_cast<const char*>(bytes.data()), magic.size()) == magic;
}

bool IsJpeg(std::span<const std::byte> bytes) { return BeginsWith(bytes, "\xFF\xD8\xFF"); }
bool IsPng(std::span<const std::byte> bytes) { return BeginsWith(bytes, "\x89PNG\r\n\x1A\n"); }

/// Why bytes that are neither are refused.
Error NoPicture(std::span<const std::byte> bytes, const Origin& origin) {
  constexpr char kConvert[] = "convert it to JPEG or PNG (ImageMagick: magick FILE FILE.png)";
  if (bytes.empty()) return origin.Bad("the file is empty", "copy or make it again");
  if (BeginsWith(bytes, "GIF8")) return origin.Bad("this is a GIF, which is not read", kConvert);
  if (BeginsWith(bytes, "BM")) return origin.Bad("this is a BMP, which is not read", kConvert);
  if (BeginsWith(bytes, "II*") || BeginsWith(bytes, std::string_view("MM\0*", 4)))
    return origin.Bad("this is a TIFF, which is not read", kConvert);
  if (bytes.size() >= 12 && BeginsWith(bytes, "RIFF") && BeginsWith(bytes.subspan(8), "WEBP"))
    return origin.Bad("this is a WebP, which is not read", kConvert);
  if (const FileKind* kind = KindOf(bytes)) return WrongKind(*kind, origin.path);
  return origin.Bad("this is no picture that is read: neither JPEG nor PNG", kConvert);
}

}  // namespace

ImageHeader ReadImageHeader(std::span<const std::byte> bytes, const Origin& origin, int64_t most_pixels) {
  if (IsJpeg(bytes)) return ReadJpegHeader(bytes, origin, most_pixels);
  if (IsPng(bytes)) return ReadPngHeader(bytes, origin, most_pixels);
  throw NoPicture(bytes, origin);
}

void DecodeImage(std::span<const std::byte> bytes, const DecodeOptions& options, const Origin& origin, Image& image) {
  CHECK(options.channels == 1 || options.channels == 3);
  if (IsJpeg(bytes)) return DecodeJpeg(bytes, options, origin, image);
  if (IsPng(bytes)) return DecodePng(bytes, options, origin, image);
  throw NoPicture(bytes, origin);
}

}  // namespace lockstep::data
