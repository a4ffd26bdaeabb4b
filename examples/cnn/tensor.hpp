// SPDX-License-Identifier: MIT
// Shape and Tensor: a batch of images in one block of memory, NCHW.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <vector>

namespace cnn {

using Index = std::ptrdiff_t;

/// Batch, channels, height, width. A vector of D values per image is (N, D, 1, 1).
struct Shape {
  int N = 0, C = 0, H = 0, W = 0;

  constexpr Index plane() const noexcept { return Index{H} * W; }
  constexpr Index image() const noexcept { return C * plane(); }
  constexpr Index size() const noexcept { return N * image(); }
  constexpr Shape with_batch(int n) const noexcept { return {n, C, H, W}; }
  friend constexpr bool operator==(const Shape&, const Shape&) = default;
};

/// "(64, 20, 24, 24)"
inline std::string to_string(const Shape& s) {
  std::string text = "(";
  for (const int size : {s.N, s.C, s.H, s.W}) text.append(std::to_string(size)).append(", ");
  text.replace(text.size() - 2, 2, ")");
  return text;
}

/// Height and width of a kernel, a stride or a padding.
struct Extent {
  int h = 0, w = 0;
  friend constexpr bool operator==(const Extent&, const Extent&) = default;
};

/// Allocates on cache-line boundaries, so that the order of a vectorized sum never depends on where the heap put it.
template <class T>
struct CacheAligned {
  using value_type = T;
  static constexpr std::align_val_t alignment{64};

  CacheAligned() = default;
  template <class U>
  constexpr CacheAligned(const CacheAligned<U>&) noexcept {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), alignment)); }
  void deallocate(T* p, std::size_t) noexcept { ::operator delete(p, alignment); }
  /// Elements without a value are left as they are: resize does not write.
  template <class U>
  void construct(U* p) noexcept {
    ::new (static_cast<void*>(p)) U;
  }
  friend constexpr bool operator==(CacheAligned, CacheAligned) noexcept { return true; }
};

using Buffer = std::vector<float, CacheAligned<float>>;

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape shape, float value = 0) : shape_(shape), data_(static_cast<std::size_t>(shape.size()), value) {}

  /// Takes the new shape and keeps the memory where it suffices; the values are unspecified.
  void resize(Shape shape) {
    shape_ = shape;
    data_.resize(static_cast<std::size_t>(shape.size()));
  }

  const Shape& shape() const noexcept { return shape_; }
  Index size() const noexcept { return static_cast<Index>(data_.size()); }
  bool empty() const noexcept { return data_.empty(); }

  float* data() noexcept { return data_.data(); }
  const float* data() const noexcept { return data_.data(); }
  float* image(Index n) noexcept { return data() + n * shape_.image(); }
  const float* image(Index n) const noexcept { return data() + n * shape_.image(); }
  std::span<float> values() noexcept { return data_; }
  std::span<const float> values() const noexcept { return data_; }

  float& operator[](Index i) noexcept { return data()[i]; }
  float operator[](Index i) const noexcept { return data()[i]; }

 private:
  Shape shape_{};
  Buffer data_{};
};

}  // namespace cnn
