// Every fused cell, under the name that it has in throughtime.cells.CELLS.
#pragma once

#include "elman.h"
#include "gru.h"
#include "lstm.h"

#define THROUGHTIME_CELLS(CELL)                                 \
  CELL(rnn_tanh, Elman<Activation::tanh>)                       \
  CELL(rnn_relu, Elman<Activation::relu>)                       \
  CELL(rnn_logistic, Elman<Activation::logistic>)               \
  CELL(lstm, Lstm<Peepholes::none>)                             \
  CELL(lstm_peephole_diagonal, Lstm<Peepholes::diagonal>)       \
  CELL(lstm_peephole_full, Lstm<Peepholes::full>)               \
  CELL(lstm_layer_norm, LayerNormLstm)                          \
  CELL(gru, Gru)                                                \
  CELL(gru_reset_before, GruResetBefore)                        \
  CELL(gru_layer_norm, LayerNormGru)
