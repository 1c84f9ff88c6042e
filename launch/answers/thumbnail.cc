#include "launch/answers/thumbnail.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // in front of jpeglib.h, which needs FILE
#include <cstdlib>
#include <string_view>
#include <vector>

#include <jpeglib.h>

#include "base/error.h"
#include "data/image/resize.h"

namespace lockstep::launch {
namespace {

std::string Base64(std::string_view bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i)
      group = group << 8 | (at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0U);
    for (size_t i = 0; i < 4; ++i) text += at + i > bytes.size() ? '=' : kDigits[group >> (18 - 6 * i) & 63];
  }
  return text;
}

Error NoMemory() { return Error(ErrorKind::kMemory, "there is no memory for a small picture"); }

std::string EncodePng(const data::Image& picture) {
  png_image header = {};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(picture.width);
  header.height = static_cast<png_uint_32>(picture.height);
  header.format = picture.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&header, bytes.data(), &size, 0, picture.pixels.data(), 0, nullptr) == 0)
    throw NoMemory();
  bytes.resize(size);
  return bytes;
}

/// libjpeg's errors come back by longjmp: nothing with a destructor may live in what calls it.
struct JpegState {
  jpeg_compress_struct info = {};  // first: libjpeg's callbacks know nothing but its address
  jpeg_error_mgr errors = {};
  std::jmp_buf jump;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's

  JpegState() = default;
  ~JpegState() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
  JpegState(const JpegState&) = delete;
  JpegState& operator=(const JpegState&) = delete;
};

bool Compress(const data::Image& picture, JpegState& state) {
  constexpr int kQuality = 85;
  if (setjmp(state.jump) != 0) return false;
  jpeg_create_compress(&state.info);
  jpeg_mem_dest(&state.info, &state.bytes, &state.size);
  state.info.image_width = static_cast<JDIMENSION>(picture.width);
  state.info.image_height = static_cast<JDIMENSION>(picture.height);
  state.info.input_components = static_cast<int>(picture.channels);
  state.info.in_color_space = picture.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&state.info);
  jpeg_set_quality(&state.info, kQuality, TRUE);
  state.info.optimize_coding = TRUE;
  jpeg_start_compress(&state.info, TRUE);
  while (state.info.next_scanline < state.info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(picture.row(state.info.next_scanline));
    jpeg_write_scanlines(&state.info, &row, 1);
  }
  jpeg_finish_compress(&state.info);
  return true;
}

std::string EncodeJpeg(const data::Image& picture) {
  JpegState state;
  state.info.err = jpeg_std_error(&state.errors);
  state.errors.error_exit = [](j_common_ptr info) { std::longjmp(reinterpret_cast<JpegState*>(info)->jump, 1); };
  if (!Compress(picture, state)) throw NoMemory();
  return {reinterpret_cast<const char*>(state.bytes), state.size};
}

data::Image Fit(const data::Image& picture) {
  const int64_t side = std::max(picture.height, picture.width);
  if (side <= kThumbnailSide) return picture;
  const auto scaled = [&](int64_t length) { return std::max<int64_t>(1, (length * kThumbnailSide + side / 2) / side); };
  data::Image small;
  data::ResizeScratch scratch;
  data::ResizeBox(picture, {0, 0, static_cast<double>(picture.height), static_cast<double>(picture.width)},
                  scaled(picture.height), scaled(picture.width), scratch, small);
  return small;
}

}  // namespace

std::string Thumbnail(const data::Image& picture) {
  const data::Image small = Fit(picture);
  const std::string png = EncodePng(small), jpeg = EncodeJpeg(small);
  return Base64(png.size() <= jpeg.size() ? png : jpeg);
}

}  // namespace lockstep::launch
