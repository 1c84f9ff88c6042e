#include "base/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace lockstep {
namespace {

TEST(Buffer, IsAlignedAndZeroedAtEverySize) {
  for (size_t bytes : {size_t{1}, size_t{63}, size_t{4096}, size_t{4097}, (size_t{2} << 20) - 1, size_t{2} << 20,
                       (size_t{5} << 20) + 12345}) {
    Buffer buffer(bytes);
    ASSERT_EQ(buffer.size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kBufferAlignment, 0u);
    EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
    std::fill_n(buffer.data(), bytes, std::byte{1});
  }
}

TEST(Buffer, OfNothingIsEmpty) {
  EXPECT_EQ(Buffer(0).data(), nullptr);
  EXPECT_TRUE(Buffer().As<float>().empty());
}

TEST(Buffer, OfAnOwnersMemoryKeepsTheOwner) {
  auto owner = std::make_shared<Buffer>(100);
  std::weak_ptr<Buffer> alive = owner;
  const std::span<std::byte> memory = owner->As<std::byte>();
  {
    Buffer view(memory, std::move(owner));
    Buffer moved = std::move(view);
    EXPECT_EQ(moved.data(), memory.data());
    EXPECT_EQ(moved.size(), 100u);
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

TEST(Buffer, MovesWithItsContents) {
  Buffer a(16);
  a.As<float>()[3] = 2.5f;
  const std::byte* data = a.data();
  Buffer b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(b.As<float>()[3], 2.5f);
  EXPECT_EQ(b.As<float>().size(), 4u);
  Buffer c(8);
  c = std::move(b);
  EXPECT_EQ(c.As<float>()[3], 2.5f);
}

TEST(Buffer, MoreThanThereIsIsAnError) {
  try {
    Buffer buffer(size_t{1} << 60);
    FAIL() << "got an exabyte";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kMemory);
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(AlignUp, RoundsToTheNextMultiple) {
  EXPECT_EQ(AlignUp(0, 64), 0u);
  EXPECT_EQ(AlignUp(1, 64), 64u);
  EXPECT_EQ(AlignUp(64, 64), 64u);
  EXPECT_EQ(AlignUp(65, 64), 128u);
}

}  // namespace
}  // namespace lockstep
