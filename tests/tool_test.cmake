# SPDX-License-Identifier: MIT
# Runs TOOL in FOLDER: on a net of its own and the pictures in DATA or, if PUBLISHED is set, on the published nets in
# RISTRETTO_DATA.
cmake_minimum_required(VERSION 3.25)

set(ENV{OMP_WAIT_POLICY} passive)
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})

# tool(STATUS ARGUMENT...) leaves what it printed in `out` and `err`.
function(tool status)
  execute_process(COMMAND ${TOOL} ${ARGN} WORKING_DIRECTORY ${FOLDER}
    RESULT_VARIABLE ended OUTPUT_VARIABLE printed ERROR_VARIABLE said TIMEOUT 600)
  if(NOT ended STREQUAL status)
    message(FATAL_ERROR "ristretto ${ARGN} ended with ${ended}, expected ${status}:\n${printed}${said}")
  endif()
  set(out "${printed}" PARENT_SCOPE)
  set(err "${said}" PARENT_SCOPE)
endfunction()

# expect(TEXT WORDS...): all of the words, in this order.
function(expect text)
  set(rest "${text}")
  foreach(words IN LISTS ARGN)
    string(FIND "${rest}" "${words}" at)
    if(at LESS 0)
      message(FATAL_ERROR "expected \"${words}\" in\n${text}")
    endif()
    string(SUBSTRING "${rest}" ${at} -1 rest)
  endforeach()
endfunction()

# refused(STATUS WORDS ARGUMENT...)
macro(refused status words)
  tool(${status} ${ARGN})
  expect("${out}${err}" "${words}")
endmacro()

# score_of(FILE NAME...) leaves the number in `score`.
macro(score_of file)
  file(READ ${FOLDER}/${file} text)
  string(JSON score GET "${text}" ${ARGN})
endmacro()

# keeps_its_promise(WEIGHTS): q.prototxt with these weights scores what q.json says of it.
function(keeps_its_promise weights)
  score_of(q.json chosen accuracy)
  set(promised ${score})
  tool(0 test --model=q.prototxt --weights=${weights} ${data} --iterations=20 --json=test.json --quiet)
  score_of(test.json scores accuracy)
  if(NOT score EQUAL promised)
    message(FATAL_ERROR "the search found ${promised}, the files score ${score}:\n${out}${err}")
  endif()
endfunction()

if(PUBLISHED)
  include(${CMAKE_CURRENT_LIST_DIR}/tool_published.cmake)
  return()
endif()

# ---- Misuse ----

refused(2 "did you mean \"quantize\"" quantise)
refused(2 "subcommand is required")
refused(2 "--weights is required" test --model=net.prototxt)
refused(2 "--trimming_mode" quantize --model=a --weights=b --model_quantized=c --trimming_mode=float --error_margin=1)
refused(2 "--error_margin" quantize --model=a --weights=b --model_quantized=c --trimming_mode=minifloat --error_margin=-1)
refused(2 "--iterations" test --model=a --weights=b --iterations=0)
refused(2 "--colour" test --model=a --weights=b --colour=red)
refused(1 "nowhere.prototxt" test --model=nowhere.prototxt --weights=nowhere.caffemodel)
refused(1 "is a folder" inspect --model=net.prototxt --json=${FOLDER})

# ---- A net of our own ----

file(WRITE ${FOLDER}/net.prototxt [[
name: "tiny"
layer {
  name: "data" type: "Data" top: "data" top: "label"
  transform_param { scale: 0.00390625 }
  data_param { source: "nowhere_lmdb" batch_size: 50 backend: LMDB }
}
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer {
  name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "accuracy" type: "Accuracy" bottom: "ip1" bottom: "label" top: "accuracy" include { phase: TEST }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip1" bottom: "label" top: "loss" }
]])
file(WRITE ${FOLDER}/solver.prototxt [[
net: "net.prototxt"
test_iter: 1
test_interval: 1000
base_lr: 0.05
momentum: 0.9
lr_policy: "fixed"
max_iter: 150
snapshot_prefix: "tiny"
random_seed: 1
]])
set(data --data=idx:${DATA})
tool(0 train --solver=solver.prototxt ${data} --quiet)
set(net --model=net.prototxt --weights=tiny_iter_150.caffemodel)
refused(1 "nowhere_lmdb" test ${net})
refused(1 "--data=idx:FOLDER" test ${net})
refused(1 "nowhere.caffemodel" test --model=net.prototxt --weights=nowhere.caffemodel ${data})
refused(1 "unknown source" test ${net} --data=folder)
refused(1 "cannot be written" test ${net} ${data} --json=nowhere/test.json)
refused(1 "--csv" test ${net} ${data} --csv=nowhere/test.csv)
refused(1 "--model_quantized" quantize ${net} ${data} --model_quantized=nowhere/q --trimming_mode=minifloat
  --error_margin=1)

tool(0 inspect ${net} --data=idx:${DATA} --json=inspect.json --csv=inspect.csv)
expect("${out}" "conv1" "Convolution" "8x12x12" "208" "28800" "ip1" "2890" "4 bits")
file(READ ${FOLDER}/inspect.json text)
string(JSON parameters GET "${text}" layers 3 parameters)
if(NOT parameters EQUAL 2890)
  message(FATAL_ERROR "ip1 has ${parameters} parameters:\n${text}")
endif()

tool(0 test ${net} ${data} --json=two.json --csv=test.csv --hits=hits.csv --threads=2)
expect("${out}" "accuracy = 0." "loss = ")
expect("${err}" "2000 pictures, ")
tool(0 test ${net} ${data} --json=one.json --threads=1 --gpu=0 --quiet)
expect("${err}" "--gpu=0: nets are computed on the host")
score_of(two.json scores loss)
set(two ${score})
score_of(one.json scores loss)
if(NOT score STREQUAL two)
  message(FATAL_ERROR "one thread: loss ${score}, two: ${two}")
endif()
score_of(one.json scores accuracy)
set(accuracy ${score})
file(STRINGS ${FOLDER}/hits.csv hits REGEX "^[0-9]+,1$")
list(LENGTH hits right)
math(EXPR right "${right} * 5")  # of 2000 pictures, in ten thousandths
if(NOT accuracy EQUAL 0.${right})
  message(FATAL_ERROR "hits.csv has ${right}/10000 right, the accuracy is ${accuracy}")
endif()
if(score LESS 0.5)
  message(FATAL_ERROR "the net scores ${score}: it has not learnt anything")
endif()

set(to --model_quantized=q.prototxt --iterations=20 --error_margin=6)
foreach(mode dynamic_fixed_point minifloat integer_power_of_2_weights)
  foreach(ranges min_mse max_abs percentile)
    tool(0 quantize ${net} ${data} ${to} --trimming_mode=${mode} --ranges=${ranges} --json=q.json --csv=q.csv --quiet)
    expect("${out}" "Network accuracy analysis for" "Baseline 32bit float: " "Please fine-tune." "SQNR w")
    keeps_its_promise(q.caffemodel)
  endforeach()
endforeach()

# Without repairs the weights are those of the net in float. Each repair has a line.
file(REMOVE ${FOLDER}/q.caffemodel)
tool(0 quantize ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --repair=none --json=q.json --quiet)
if(EXISTS ${FOLDER}/q.caffemodel)
  message(FATAL_ERROR "--repair=none writes weights")
endif()
keeps_its_promise(tiny_iter_150.caffemodel)
tool(0 quantize ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --repair=all --bits=2,2,8 --ends=4
  --weights_quantized=repaired.caffemodel --calibration=200 --json=q.json --quiet)
expect("${out}" "2bit CONV weights" "What repairs brought" "rounded to nearest" "channels equalized" "weights compensated"
  "biases corrected" "x2^" "from 200 pictures")
score_of(q.json repairs 0 divergence)
set(rounded ${score})
score_of(q.json repairs 3 divergence)
if(NOT score LESS rounded)
  message(FATAL_ERROR "repairs change the divergence from ${rounded} to ${score}")
endif()
tool(0 test --model=q.prototxt --weights=repaired.caffemodel ${data} --iterations=20 --quiet)
tool(0 quantize ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --per_layer --signed --bits=8,8,8 --quiet)
file(READ ${FOLDER}/q.prototxt text)
if(text MATCHES "ufixed|shift_params")
  message(FATAL_ERROR "--per_layer --signed writes\n${text}")
endif()
refused(1 "--per_channel" quantize ${net} ${data} ${to} --trimming_mode=minifloat --ranges=ristretto2016 --per_channel)
refused(1 "--search=layers" quantize ${net} ${data} ${to} --trimming_mode=minifloat --ranges=ristretto2016
  --search=layers)
refused(2 "--repair" quantize ${net} ${data} ${to} --trimming_mode=minifloat --repair=magic)
refused(2 "--ends" quantize ${net} ${data} ${to} --trimming_mode=minifloat --ends=8)
refused(2 "none goes with nothing else" quantize ${net} ${data} ${to} --trimming_mode=minifloat --repair=bias,none)
refused(2 "--per_layer" quantize ${net} ${data} ${to} --trimming_mode=minifloat --per_channel --per_layer)
refused(1 "--search=layers" quantize ${net} ${data} ${to} --trimming_mode=minifloat --journal=q.journal)
refused(1 "--search=layers" quantize ${net} ${data} ${to} --trimming_mode=minifloat --cost=weight_bits)
refused(1 "--bits is instead" quantize ${net} ${data} ${to} --trimming_mode=minifloat --bits=8,8,8 --search=layers)
refused(1 "--bits one width" quantize ${net} ${data} ${to} --trimming_mode=minifloat --bits=8,8,6
  --ranges=ristretto2016)

# Results replace neither what is read nor each other.
file(READ ${FOLDER}/tiny_iter_150.caffemodel before HEX)
refused(1 "--weights_quantized would overwrite tiny_iter_150.caffemodel" quantize ${net} ${data}
  --model_quantized=tiny_iter_150.prototxt --trimming_mode=minifloat)
refused(1 "--weights_quantized would overwrite both" quantize ${net} ${data} --model_quantized=both
  --weights_quantized=./both --trimming_mode=minifloat)
file(READ ${FOLDER}/tiny_iter_150.caffemodel after HEX)
if(NOT before STREQUAL after)
  message(FATAL_ERROR "quantize changed the weights that it read")
endif()

# A repair that makes the net worse is not kept: few pictures, and few bits.
tool(3 quantize ${net} ${data} --model_quantized=q.prototxt --iterations=20 --error_margin=0 --repair=bias
  --trimming_mode=dynamic_fixed_point --bits=1,1,2 --calibration=1 --json=q.json --quiet)
foreach(number 0 1)
  score_of(q.json repairs ${number} divergence)
  set(divergence_${number} ${score})
endforeach()
score_of(q.json chosen divergence)
if(score GREATER divergence_0 OR score GREATER divergence_1)
  message(FATAL_ERROR "of repairs with divergence ${divergence_0} and ${divergence_1} one with ${score} is kept")
endif()

# A search by layers, and one that goes on from what the first left.
set(by_layer ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --search=layers --journal=q.journal --quiet)
foreach(cost weight_bits bit_operations)
  file(REMOVE ${FOLDER}/q.journal)
  tool(0 quantize ${by_layer} --cost=${cost} --widths=2,8,4,3 --json=q.json --csv=q.csv)
  file(READ ${FOLDER}/q.csv text)
  expect("${text}" "widths,cost,accuracy" "float/float float/float," "8/8 8/8," "4/8 8/8,")
  expect("${out}" "Trials that no other beats, ${cost}" "bits a weight")
  score_of(q.json mean_weight_bits)
  if(NOT score LESS 8)
    message(FATAL_ERROR "the search by layers keeps ${score} bits a weight")
  endif()
  file(READ ${FOLDER}/q.prototxt whole)
  file(READ ${FOLDER}/q.journal journal)
  string(LENGTH "${journal}" length)
  math(EXPR length "${length} / 2")
  string(SUBSTRING "${journal}" 0 ${length} journal)
  file(WRITE ${FOLDER}/q.journal "${journal}")
  tool(0 quantize ${by_layer} --cost=${cost} --widths=8,4,3,2)
  file(READ ${FOLDER}/q.prototxt resumed)
  if(NOT resumed STREQUAL whole)
    message(FATAL_ERROR "a search that goes on finds\n${resumed}\nand one that was never stopped\n${whole}")
  endif()
endforeach()
foreach(other --per_layer --signed --ties=away)
  refused(1 "of another search" quantize ${by_layer} ${other})
endforeach()
refused(1 "is a folder" quantize ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --search=layers --journal=.)
tool(0 train --solver=solver.prototxt ${data} --max_iter=100 --snapshot_prefix=tiny --quiet)
file(COPY_FILE ${FOLDER}/tiny_iter_150.caffemodel ${FOLDER}/kept.caffemodel)
file(COPY_FILE ${FOLDER}/tiny_iter_100.caffemodel ${FOLDER}/tiny_iter_150.caffemodel)
refused(1 "of other weights" quantize ${by_layer})
file(COPY_FILE ${FOLDER}/kept.caffemodel ${FOLDER}/tiny_iter_150.caffemodel)
file(WRITE ${FOLDER}/notes.txt "my only notes")
refused(1 "of another search" quantize ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --search=layers
  --journal=notes.txt)
file(READ ${FOLDER}/notes.txt text)
if(NOT text STREQUAL "my only notes")
  message(FATAL_ERROR "a file that is no journal now holds ${text}")
endif()
file(REMOVE ${FOLDER}/q.journal)
tool(0 quantize ${by_layer} --time_budget=0.001)
expect("${err}" "the time is up")

# Trials of FC weights go on from what the float net left.
foreach(threads 1 2)
  tool(0 quantize ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --csv=q${threads}.csv --threads=${threads}
    --quiet)
  file(READ ${FOLDER}/q${threads}.csv trials_${threads})
endforeach()
if(NOT trials_1 STREQUAL trials_2)
  message(FATAL_ERROR "the number of threads changes trials:\n${trials_1}${trials_2}")
endif()
tool(3 quantize ${net} ${data} --model_quantized=q.prototxt --error_margin=0.1 --trimming_mode=dynamic_fixed_point
  --widths=1 --quiet)
expect("${out}" "1bit CONV weights" "The margin is missed.")
refused(1 "--widths" quantize ${net} ${data} ${to} --trimming_mode=minifloat --widths=1)

# The net in float teaches a trimmed one, without labels.
tool(0 quantize ${net} ${data} ${to} --trimming_mode=dynamic_fixed_point --bits=2,2,4 --json=q.json --quiet)
foreach(teacher float tiny_iter_150.caffemodel)
  tool(0 train --solver=solver.prototxt --model=q.prototxt --weights=tiny_iter_150.caffemodel ${data} --max_iter=30
    --teacher=${teacher} --training_rounding=nearest --snapshot_prefix=taught --quiet)
  expect("${out}" "loss = ")
endforeach()
refused(1 "--teacher=float needs weights" train --solver=solver.prototxt --model=q.prototxt ${data} --teacher=float)
refused(1 "nowhere.caffemodel" train --solver=solver.prototxt --model=q.prototxt --weights=tiny_iter_150.caffemodel
  ${data} --teacher=nowhere.caffemodel)
