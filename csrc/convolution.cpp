// Convolutions by Winograd's minimal filtering (see winograd.h): pictures are cut into tiles, whose transforms are
// multiplied by those of the filters, one matrix product for each element of a tile. Compiled once for each instruction
// set, into a namespace of its own.
#include "convolution.h"

#include <algorithm>
#include <vector>

#include "gemm.h"
#include "place_step.h"
#include "threads.h"
#include "winograd.h"
#include "workspace.h"

namespace throughtime::INSTRUCTION_SET {
namespace {

constexpr int panel_vectors = 2;
constexpr Index work_of_thread = 2000000;  // multiply-adds worth waking a thread for

template <class T, int Kernel>
class Tiles {
 public:
  using Transform = Winograd<Kernel>;
  static constexpr int V = lanes<T>, size = Transform::size, positions = size * size, out = Transform::outputs;
  static constexpr Index width = panel_vectors * V;  // of a panel of outputs

  explicit Tiles(const Convolution& c)
      : c_(c),
        down_(ceiling(c.height, out)),
        across_(ceiling(c.width, out)),
        nothing_(static_cast<std::size_t>(input_stride())) {}

  Index count() const { return c_.pictures * down_ * across_; }
  Index panels() const { return ceiling(c_.outputs, width); }
  Index input_stride() const { return rounded_up(c_.inputs, V); }
  // Elements of the transformed filters of one position.
  Index position_size() const { return panels() * c_.inputs * width; }

  // Tiles that are worked on together: what is between the transforms stays in a core's own cache.
  Index block(Index numbers_of_tile, Index bytes, Index most, int threads) const {
    const Index fit = bytes / (numbers_of_tile * positions * static_cast<Index>(sizeof(T)));
    return larger(smaller(smaller(larger(fit, 12), most), ceiling(count(), threads)), 1);
  }
  // Elements from one position to the next of so many rows: not a power of two, which would fall into one set of a cache.
  static Index plane(Index rows, Index stride) { return rows * stride + V; }

  int threads() const {
    const Index work = count() * positions * c_.inputs * c_.outputs;
    return static_cast<int>(smaller(c_.threads, larger(work / work_of_thread, 1)));
  }

  // transforms[position][row][channel] = Bᵀ d B of the tiles from `first` on.
  void transform_inputs(const T* values, Index first, Index rows, T* transforms, Index plane) const {
    for (Index row = 0; row < rows; ++row) {
      const T* place[size][size];
      const Index picture = (first + row) / (down_ * across_), tile = (first + row) % (down_ * across_);
      for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x) {
          const Index line = tile / across_ * out + y - Kernel / 2, column = tile % across_ * out + x - Kernel / 2;
          const bool inside = line >= 0 && line < c_.height && column >= 0 && column < c_.width;
          place[y][x] = inside ? values + ((picture * c_.height + line) * c_.width + column) * c_.inputs : nothing_.data();
        }
      T* to = transforms + row * input_stride();
      for (Index channel = 0; channel < c_.inputs; channel += V) {
        Vec<T> tile_values[size][size], result[size][size];
#pragma GCC unroll 64
        for (int y = 0; y < size; ++y)
#pragma GCC unroll 64
          for (int x = 0; x < size; ++x) tile_values[y][x] = load_first(place[y][x] + channel, c_.inputs - channel);
        on_both_sides<T>(Transform::input, tile_values, result);
#pragma GCC unroll 64
        for (int position = 0; position < positions; ++position)
          store(to + position * plane + channel, result[position / size][position % size]);
      }
    }
  }

  // The places of a tile's outputs, in elements of `outputs` channels; -1 beyond the edges.
  void places_of_outputs(Index number, Index (&place)[out][out]) const {
    const Index picture = number / (down_ * across_), tile = number % (down_ * across_);
    for (int y = 0; y < out; ++y)
      for (int x = 0; x < out; ++x) {
        const Index line = tile / across_ * out + y, column = tile % across_ * out + x;
        place[y][x] = line < c_.height && column < c_.width ? ((picture * c_.height + line) * c_.width + column) * c_.outputs : -1;
      }
  }

  void list_places(Index first, Index rows, std::vector<Index>& places) const {
    places.clear();
    for (Index row = 0; row < rows; ++row) {
      Index place[out][out];
      places_of_outputs(first + row, place);
      for (const auto& line : place)
        for (const Index one : line)
          if (one >= 0) places.push_back(one / c_.outputs);
    }
  }

  // result (+)= Aᵀ M A + bias, of the products[position][row] of one panel.
  void transform_outputs(const T* products, Index plane, Index panel, Index first, Index rows, const T* bias, bool add,
                         T* result) const {
    for (Index row = 0; row < rows; ++row) {
      Index place[out][out];
      places_of_outputs(first + row, place);
      for (int v = 0; v < panel_vectors; ++v) {
        const Index channel = panel * width + v * V, used = c_.outputs - channel;
        if (used <= 0) break;
        Vec<T> values[size][size], sums[out][out];
#pragma GCC unroll 64
        for (int position = 0; position < positions; ++position)
          values[position / size][position % size] = load(products + position * plane + row * width + v * V);
        on_both_sides<T>(Transform::output, values, sums);
        const Vec<T> more = bias ? load_first(bias + channel, used) : Vec<T>{};
#pragma GCC unroll 64
        for (int y = 0; y < out; ++y)
#pragma GCC unroll 64
          for (int x = 0; x < out; ++x) {
            if (place[y][x] < 0) continue;
            T* to = result + place[y][x] + channel;
            store_first(to, (add ? load_first(to, used) : more) + sums[y][x], used);
          }
      }
    }
  }

  // spread[panel][position][row][channel] = A dY Aᵀ of the tiles from `first` on.
  void transform_derivatives(const T* derivatives, Index first, Index rows, T* spread, Index plane) const {
    constexpr auto adjoint = transposed(Transform::output);
    for (Index row = 0; row < rows; ++row) {
      Index place[out][out];
      places_of_outputs(first + row, place);
      for (Index panel = 0; panel < panels(); ++panel)
        for (int v = 0; v < panel_vectors; ++v) {
          const Index channel = panel * width + v * V, used = c_.outputs - channel;
          Vec<T> values[out][out], result[size][size];
#pragma GCC unroll 64
          for (int y = 0; y < out; ++y)
#pragma GCC unroll 64
            for (int x = 0; x < out; ++x)
              values[y][x] = used > 0 && place[y][x] >= 0 ? load_first(derivatives + place[y][x] + channel, used) : Vec<T>{};
          on_both_sides<T>(adjoint, values, result);
          T* to = spread + (panel * positions * plane + row * width + v * V);
#pragma GCC unroll 64
          for (int position = 0; position < positions; ++position)
            store(to + position * plane, result[position / size][position % size]);
        }
    }
  }

  // G g Gᵀ of a panel's filters: transformed[position][panel][input][width].
  void transform_filters(const Filters& filters, Index panel) const {
    const T* weights = static_cast<const T*>(filters.weights);
    for (int v = 0; v < panel_vectors; ++v)
      for (Index input = 0; input < c_.inputs; ++input) {
        const Index output = panel * width + v * V;
        Vec<T> filter[Kernel][Kernel], result[size][size];
        for (int y = 0; y < Kernel; ++y)
          for (int x = 0; x < Kernel; ++x)
            for (int lane = 0; lane < V; ++lane)
              filter[y][x][lane] = output + lane < c_.outputs ? weights[weight(filters.backwards, output + lane, y, x, input)] : T(0);
        on_both_sides<T>(Transform::filter, filter, result);
        T* to = static_cast<T*>(filters.transformed) + (panel * c_.inputs + input) * width + v * V;
        for (int position = 0; position < positions; ++position)
          store(to + position * position_size(), result[position / size][position % size]);
      }
  }

  // weights[output][y][x][input] = Gᵀ S G, of the sums[position][panel][input][width].
  void derive_filters(const T* sums, Index panel, T* weights) const {
    constexpr auto adjoint = transposed(Transform::filter);
    for (int v = 0; v < panel_vectors; ++v)
      for (Index input = 0; input < c_.inputs; ++input) {
        const Index output = panel * width + v * V;
        Vec<T> values[size][size], result[Kernel][Kernel];
        const T* from = sums + (panel * c_.inputs + input) * width + v * V;
        for (int position = 0; position < positions; ++position)
          values[position / size][position % size] = load(from + position * position_size());
        on_both_sides<T>(adjoint, values, result);
        for (int y = 0; y < Kernel; ++y)
          for (int x = 0; x < Kernel; ++x)
            for (int lane = 0; lane < V && output + lane < c_.outputs; ++lane)
              weights[weight(false, output + lane, y, x, input)] = result[y][x][lane];
      }
  }

 private:
  Index weight(bool backwards, Index output, int y, int x, Index input) const {
    if (!backwards) return ((output * Kernel + y) * Kernel + x) * c_.inputs + input;
    return ((input * Kernel + Kernel - 1 - y) * Kernel + Kernel - 1 - x) * c_.outputs + output;
  }

  const Convolution& c_;
  const Index down_, across_;     // tiles of a picture
  const std::vector<T> nothing_;  // what stands beyond the edges
};

template <class T, int Kernel>
void convolve_as(const Convolution& c, const T* values, const T* filters, const T* bias, bool add, T* result, const PlaceStep* step) {
  const Tiles<T, Kernel> tiles(c);
  using Of = Tiles<T, Kernel>;
  const int threads = tiles.threads();
  const Index block = tiles.block(tiles.input_stride() + Of::width, Index{384} << 10, 96, threads);
  const Index blocks = ceiling(tiles.count(), block);
  const Index inputs_plane = Of::plane(block, tiles.input_stride()), products_plane = Of::plane(block, Of::width);
  const std::size_t inputs_size = static_cast<std::size_t>(Of::positions * inputs_plane);
  const std::size_t products_size = static_cast<std::size_t>(Of::positions * products_plane);
  const std::size_t size_of_thread = Workspace::size<T>(inputs_size) + Workspace::size<T>(products_size);
  Scratch scratch(static_cast<std::size_t>(threads) * size_of_thread);
  std::vector<T*> space(static_cast<std::size_t>(threads));
  for (T*& own : space) own = scratch.take<T>(size_of_thread / sizeof(T));
  Counter counter;
  in_parallel(threads, [&](int thread, int) {
    const FlushDenormals flush;
    T* inputs = space[static_cast<std::size_t>(thread)];
    T* products = inputs + Workspace::size<T>(inputs_size) / sizeof(T);
    std::vector<Index> places;
    for (Index number; (number = counter.next()) < blocks;) {
      const Index first = number * block, rows = smaller(block, tiles.count() - first);
      tiles.transform_inputs(values, first, rows, inputs, inputs_plane);
      for (Index panel = 0; panel < tiles.panels(); ++panel) {
        for (int position = 0; position < Of::positions; ++position)
          multiply<T, panel_vectors>(rows, 1, c.inputs, {inputs + position * inputs_plane, tiles.input_stride()},
                                     filters + position * tiles.position_size() + panel * c.inputs * Of::width, 0, nullptr, false,
                                     products + position * products_plane, Of::width, 0);
        tiles.transform_outputs(products, products_plane, panel, first, rows, bias, add, result);
      }
      if (!step) continue;
      tiles.list_places(first, rows, places);
      step_places(*step, places.data(), static_cast<Index>(places.size()));  // while their sums are in the cache
    }
  });
}

template <class T, int Kernel>
void derive_as(const Convolution& c, const T* values, const T* derivatives, T* weights) {
  const Tiles<T, Kernel> tiles(c);
  using Of = Tiles<T, Kernel>;
  const int threads = tiles.threads();
  const Index block = tiles.block(tiles.input_stride() + tiles.panels() * Of::width, Index{3} << 20, 128, 1);
  const Index blocks = ceiling(tiles.count(), block);
  const Index inputs_plane = Of::plane(block, tiles.input_stride()), spread_plane = Of::plane(block, Of::width);
  const std::size_t inputs_size = static_cast<std::size_t>(Of::positions * inputs_plane);
  const std::size_t spread_size = static_cast<std::size_t>(tiles.panels() * Of::positions * spread_plane);
  const std::size_t sums_size = static_cast<std::size_t>(Of::positions * tiles.position_size());
  Scratch scratch(2 * (Workspace::size<T>(inputs_size) + Workspace::size<T>(spread_size)) + Workspace::size<T>(sums_size));
  T *inputs[2], *spread[2];
  for (int buffer = 0; buffer < 2; ++buffer) {
    inputs[buffer] = scratch.take<T>(inputs_size);
    spread[buffer] = scratch.take<T>(spread_size);
  }
  T* sums = scratch.take<T>(sums_size);
  Barrier barrier;
  in_parallel(threads, [&](int thread, int running) {
    const FlushDenormals flush;
    const Index units = Of::positions * tiles.panels();  // of these sums each thread keeps its own
    const Index from = units * thread / running, to = units * (thread + 1) / running;
    for (Index number = 0; number < blocks; ++number) {
      const Index first = number * block, rows = smaller(block, tiles.count() - first);
      const Index begin = rows * thread / running, end = rows * (thread + 1) / running;
      T *const own_inputs = inputs[number % 2], *const own_spread = spread[number % 2];
      tiles.transform_inputs(values, first + begin, end - begin, own_inputs + begin * tiles.input_stride(), inputs_plane);
      tiles.transform_derivatives(derivatives, first + begin, end - begin, own_spread + begin * Of::width, spread_plane);
      barrier.wait(running);  // who is a block ahead writes into the other buffer
      for (Index unit = from; unit < to; ++unit) {
        const Index position = unit / tiles.panels(), panel = unit % tiles.panels();
        const T* left = own_inputs + position * inputs_plane;
        const T* right = own_spread + (panel * Of::positions + position) * spread_plane;
        T* sum = sums + unit * c.inputs * Of::width;
        constexpr Index tile = tile_rows(panel_vectors);
        for (Index input = 0; input < c.inputs; input += tile)
          multiply<T, panel_vectors, true>(smaller(tile, c.inputs - input), 1, rows, {left + input, 1, tiles.input_stride()}, right, 0,
                                           nullptr, number > 0, sum + input * Of::width, Of::width, 0);
      }
    }
    if (blocks == 0) std::fill(sums + from * c.inputs * Of::width, sums + to * c.inputs * Of::width, T(0));
    barrier.wait(running);
    for (Index panel = tiles.panels() * thread / running; panel < tiles.panels() * (thread + 1) / running; ++panel)
      tiles.derive_filters(sums, panel, weights);
  });
}

template <class Body>
void with_types(const Convolution& c, const Body& body) {
  if (c.kernel == 3)
    c.double_precision ? body.template operator()<double, 3>() : body.template operator()<float, 3>();
  else
    c.double_precision ? body.template operator()<double, 5>() : body.template operator()<float, 5>();
}

}  // namespace

Index filters_size(const Convolution& c) {
  Index size = 0;
  with_types(c, [&]<class T, int Kernel>() { size = Tiles<T, Kernel>::positions * Tiles<T, Kernel>(c).position_size(); });
  return size;
}

void transform_filters(const Convolution& c, const Filters& filters) {
  with_types(c, [&]<class T, int Kernel>() {
    const Tiles<T, Kernel> tiles(c);
    Counter counter;
    in_parallel(tiles.threads(), [&](int, int) {
      for (Index panel; (panel = counter.next()) < tiles.panels();) tiles.transform_filters(filters, panel);
    });
  });
}

void convolve(const Convolution& c, const void* values, const void* filters, const void* bias, bool add, void* result,
              const PlaceStep* step) {
  with_types(c, [&]<class T, int Kernel>() {
    convolve_as<T, Kernel>(c, static_cast<const T*>(values), static_cast<const T*>(filters), static_cast<const T*>(bias), add,
                           static_cast<T*>(result), step);
  });
}

Sides sides_at_places(int cell) {
  return with_cell(cell, []<class Cell>() { return sides_at_places<Cell>(); });
}

void step_all_places(const PlaceStep& step) {
  constexpr Index block = 64, numbers_of_thread = 50000;
  Counter counter;
  in_parallel(static_cast<int>(smaller(step.threads, larger(step.places * step.units / numbers_of_thread, 1))), [&](int, int) {
    const FlushDenormals flush;
    Index places[block];
    for (Index number; (number = counter.next()) * block < step.places;) {
      const Index first = number * block, count = smaller(block, step.places - first);
      for (Index i = 0; i < count; ++i) places[i] = first + i;
      step_places(step, places, count);
    }
  });
}

void derive_filters(const Convolution& c, const void* values, const void* derivatives, void* weights) {
  with_types(c, [&]<class T, int Kernel>() {
    derive_as<T, Kernel>(c, static_cast<const T*>(values), static_cast<const T*>(derivatives), static_cast<T*>(weights));
  });
}

}  // namespace throughtime::INSTRUCTION_SET
