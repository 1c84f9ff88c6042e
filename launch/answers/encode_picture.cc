#include "launch/answers/encode_picture.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>  // in front of jpeglib.h, which needs FILE
#include <cstdlib>

#include <jpeglib.h>

#include "base/error.h"

namespace lockstep::launch {
namespace {

Error NoMemory() { return Error(ErrorKind::kMemory, "there is no memory for a picture"); }

}  // namespace

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

namespace {

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

}  // namespace

std::string EncodeJpeg(const data::Image& picture) {
  JpegState state;
  state.info.err = jpeg_std_error(&state.errors);
  state.errors.error_exit = [](j_common_ptr info) { std::longjmp(reinterpret_cast<JpegState*>(info)->jump, 1); };
  if (!Compress(picture, state)) throw NoMemory();
  return {reinterpret_cast<const char*>(state.bytes), state.size};
}

}  // namespace lockstep::launch
