#include "data/image/decode_jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // in front of jpeglib.h, which needs FILE
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <jerror.h>
#include <jpeglib.h>

#include "base/error.h"
#include "data/image/convert_pixels.h"
#include "data/image/orientation.h"

namespace lockstep::data {
namespace {

/// libjpeg's state, of which it is told by its first member, and how its errors come back: by longjmp, so that nothing
/// with a destructor may live in functions that call it. What is left of a picture behind damage is grey: that is an
/// error here, while rubbish between its parts is none.
class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, const Origin& origin) : origin_(origin) {
    state_.info.err = jpeg_std_error(&state_.errors);
    state_.errors.error_exit = [](j_common_ptr info) {
      auto& state = *reinterpret_cast<State*>(info);
      state.errors.format_message(info, state.message);
      std::longjmp(state.jump, 1);
    };
    state_.errors.emit_message = [](j_common_ptr info, int level) {
      if (level < 0 && LosesPixels(info->err->msg_code)) info->err->error_exit(info);
    };
    Call([&](jpeg_decompress_struct& info) {
      constexpr unsigned kWholeMarker = 0xFFFF;
      jpeg_create_decompress(&info);
      jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_save_markers(&info, JPEG_APP0 + 1, kWholeMarker);
    });
    state_.progress.progress_monitor = [](j_common_ptr info) {
      // Each scan of a progressive picture goes over all of it: a small file can have very many. Encoders make some
      // ten.
      constexpr int kMostScans = 500;
      auto& state = *reinterpret_cast<State*>(info);
      if (state.info.input_scan_number <= kMostScans) return;
      std::strcpy(state.message, "it has more than 500 scans");
      std::longjmp(state.jump, 1);
    };
    state_.info.progress = &state_.progress;
    Call([](jpeg_decompress_struct& info) { jpeg_read_header(&info, TRUE); });
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Calls action(info), in which libjpeg may fail. REQUIRES: nothing in it needs a destructor.
  template <typename F>
  void Call(F&& action) {
    if (setjmp(state_.jump) == 0) {
      action(state_.info);
      return;
    }
    throw origin_.Bad(fmt::format("the JPEG is damaged or cut off: {}", state_.message), "copy or make the file again");
  }
  jpeg_decompress_struct& info() { return state_.info; }

 private:
  struct State {
    State() = default;
    ~State() { jpeg_destroy_decompress(&info); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    jpeg_decompress_struct info = {};  // first: libjpeg's callbacks know nothing but its address
    jpeg_error_mgr errors = {};
    jpeg_progress_mgr progress = {};
    std::jmp_buf jump;
    char message[JMSG_LENGTH_MAX] = {};
  };

  static bool LosesPixels(int warning) {
    return warning != JWRN_EXTRANEOUS_DATA && warning != JWRN_TOO_MUCH_DATA && warning != JWRN_JFIF_MAJOR &&
           warning != JWRN_ADOBE_XFORM && warning != JWRN_BOGUS_PROGRESSION && warning != JWRN_NOT_SEQUENTIAL &&
           warning != JWRN_BOGUS_ICC;
  }

  const Origin& origin_;
  State state_;
};

Orientation OrientationOf(const jpeg_decompress_struct& info) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (marker->marker != JPEG_APP0 + 1 || !data.starts_with(kExif)) continue;
    return ReadOrientation(std::as_bytes(std::span(data.substr(kExif.size()))));
  }
  return {};
}

/// Asks for what an Image can be made of.
PixelKind ChoosePixels(jpeg_decompress_struct& info, const Origin& origin) {
  switch (info.jpeg_color_space) {
    case JCS_GRAYSCALE:
      info.out_color_space = JCS_GRAYSCALE;
      return PixelKind::kGrey;
    case JCS_RGB:
    case JCS_YCbCr:
      info.out_color_space = JCS_RGB;
      return PixelKind::kRgb;
    case JCS_CMYK:
    case JCS_YCCK:
      info.out_color_space = JCS_CMYK;
      return PixelKind::kInvertedCmyk;
    default:
      throw origin.Bad(fmt::format("the JPEG has {} components, which are no known colours", info.num_components),
                       "convert it to RGB");
  }
}

/// Columns that are decoded around a region, and rows above it: its edges would look other than in the whole picture,
/// since colours that are stored at a lower resolution are interpolated.
struct Window {
  JDIMENSION left, width;
  JDIMENSION first_row;
};

Window WindowOf(const jpeg_decompress_struct& info, const ImageRegion& region) {
  const int64_t unit_width = info.max_h_samp_factor * info.min_DCT_scaled_size;
  const int64_t unit_height = info.max_v_samp_factor * info.min_DCT_scaled_size;
  const int64_t left = std::max<int64_t>(0, region.left - unit_width);
  const int64_t right = std::min<int64_t>(info.output_width, region.left + region.width + unit_width);
  const int64_t first_row = std::max<int64_t>(0, region.top - 2 * unit_height);
  return {static_cast<JDIMENSION>(left), static_cast<JDIMENSION>(right - left), static_cast<JDIMENSION>(first_row)};
}

/// Whether a window has the pixels of the whole picture. libjpeg-turbo 2.1 interpolates others next to a window's edge
/// where components have factors that no encoder gives them.
bool CutsExactly(const jpeg_decompress_struct& info) {
  const std::span<const jpeg_component_info> components(info.comp_info, static_cast<size_t>(info.num_components));
  const bool usual = std::all_of(components.begin(), components.end(), [&](const jpeg_component_info& component) {
    return (component.h_samp_factor == 1 && component.v_samp_factor == 1) ||
           (component.h_samp_factor == info.max_h_samp_factor && component.v_samp_factor == info.max_v_samp_factor);
  });
  return usual && info.max_h_samp_factor <= 2 && info.max_v_samp_factor <= 2;
}

/// Decodes `region` of the stored picture, which decompression was started of.
void ReadRegion(Decoder& decoder, PixelKind kind, const ImageRegion& region, int channels, Image& image) {
  const jpeg_decompress_struct& info = decoder.info();
  const bool whole = region == ImageRegion{0, 0, info.output_height, info.output_width};
  Window window{0, info.output_width, 0};
  if (!whole && CutsExactly(info)) {
    window = WindowOf(info, region);
    decoder.Call([&](jpeg_decompress_struct& state) {
      if (window.width < state.output_width) jpeg_crop_scanline(&state, &window.left, &window.width);
      if (window.first_row > 0) jpeg_skip_scanlines(&state, window.first_row);
    });
  }
  image.Resize(region.height, region.width, channels);
  const auto end_row = static_cast<JDIMENSION>(region.top + region.height);
  if (whole && ValuesOf(kind) == channels) {
    decoder.Call([&](jpeg_decompress_struct& state) {
      while (state.output_scanline < end_row) {
        JSAMPROW row = image.row(state.output_scanline);
        jpeg_read_scanlines(&state, &row, 1);
      }
    });
    return;
  }
  std::vector<uint8_t> buffer(static_cast<size_t>(window.width) * static_cast<size_t>(ValuesOf(kind)));
  const uint8_t* first = buffer.data() + (region.left - window.left) * ValuesOf(kind);
  decoder.Call([&](jpeg_decompress_struct& state) {
    while (state.output_scanline < end_row) {
      const int64_t y = int64_t{state.output_scanline} - region.top;
      JSAMPROW row = buffer.data();
      jpeg_read_scanlines(&state, &row, 1);
      if (y >= 0) ConvertPixels(first, kind, region.width, channels, image.row(y));
    }
  });
}

}  // namespace

ImageHeader ReadJpegHeader(std::span<const std::byte> bytes, const Origin& origin, int64_t most_pixels) {
  Decoder decoder(bytes, origin);
  const jpeg_decompress_struct& info = decoder.info();
  RequirePixels(info.image_height, info.image_width, most_pixels, origin);
  ImageHeader header{info.image_height, info.image_width, /*reducible=*/true};
  if (OrientationOf(info).transpose) std::swap(header.height, header.width);
  return header;
}

void DecodeJpeg(std::span<const std::byte> bytes, const DecodeOptions& options, const Origin& origin, Image& image) {
  constexpr int kWhole = 8;  // eighths
  Decoder decoder(bytes, origin);
  jpeg_decompress_struct& info = decoder.info();
  RequirePixels(info.image_height, info.image_width, options.most_pixels, origin);
  const Orientation orientation = OrientationOf(info);
  const PixelKind kind = ChoosePixels(info, origin);
  info.dct_method = JDCT_ISLOW;
  info.scale_num = static_cast<unsigned>(kWhole / options.reduction);
  info.scale_denom = kWhole;
  decoder.Call([](jpeg_decompress_struct& state) { jpeg_start_decompress(&state); });
  const int64_t height = info.output_height, width = info.output_width;
  ImageRegion region{0, 0, height, width};
  if (options.region) {
    const int64_t upright_height = orientation.transpose ? width : height;
    const int64_t upright_width = orientation.transpose ? height : width;
    const ImageRegion& wanted = *options.region;
    CHECK(wanted.top >= 0 && wanted.left >= 0 && wanted.height > 0 && wanted.width > 0 &&
          wanted.top + wanted.height <= upright_height && wanted.left + wanted.width <= upright_width);
    region = StoredRegion(orientation, wanted, height, width);
  }
  ReadRegion(decoder, kind, region, options.channels, image);
  MakeUpright(orientation, image);
}

}  // namespace lockstep::data
