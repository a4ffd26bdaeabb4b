# SPDX-License-Identifier: MIT
# The tool on published nets; included by tool_test.cmake.
set(published "$ENV{RISTRETTO_DATA}")
if(published STREQUAL "")
  message("skipped: set RISTRETTO_DATA to the folder that holds the published nets")
  return()
endif()
cmake_path(ABSOLUTE_PATH published BASE_DIRECTORY ${SOURCE})
set(lenet --model=${published}/data/lenet/lenet_train_test.prototxt --data=idx:${published}/data/mnist)

# scores(WANTED TOLERANCE ARGUMENT...)
function(scores wanted tolerance)
  tool(0 test ${ARGN} --json=score.json --quiet)
  score_of(score.json scores accuracy)
  math(EXPR least "${wanted} - ${tolerance}")
  math(EXPR most "${wanted} + ${tolerance}")
  string(REGEX REPLACE "^0\\.([0-9][0-9][0-9][0-9]).*" "\\1" found "${score}0000")
  if(found LESS least OR found GREATER most)
    message(FATAL_ERROR "${ARGN}: ${score}, expected 0.${wanted}")
  endif()
endfunction()
scores(9909 2 ${lenet} --weights=${published}/data/lenet/lenet_iter_10000.caffemodel)
scores(9905 2 ${lenet} --weights=${published}/data/lenet/lenet_iter_10000_v1format.caffemodel)
scores(7941 2 --model=${published}/data/cifar10_full/cifar10_full_train_test.prototxt
  --weights=${published}/data/cifar10_full/cifar10_full_iter_70000.caffemodel --data=cifar10:${published}/data/cifar10
  --mean_file=${published}/data/cifar10_full/mean.binaryproto)

# What the original wrote for this net, and the table of its search.
tool(3 quantize ${lenet} --weights=${published}/data/lenet/lenet_iter_10000.caffemodel --model_quantized=golden.prototxt
  --trimming_mode=dynamic_fixed_point --iterations=10 --error_margin=3 --ranges=ristretto2016 --quiet)
expect("${out}" "Baseline 32bit float: 0.992"
  "16bit: \t0.992" "8bit: \t0.992" "4bit: \t0.991" "2bit: \t0.986" "1bit: \t0.089"
  "16bit: \t0.992" "8bit: \t0.992" "4bit: \t0.99\n" "2bit: \t0.893"
  "16bit: \t0.993" "8bit: \t0.993" "4bit: \t0.973" "2bit: \t0.085"
  "2bit CONV weights," "4bit FC weights," "4bit layer activations:" "Accuracy: 0.954" "Please fine-tune.")
file(READ ${FOLDER}/golden.prototxt ours)
file(READ ${published}/data/lenet/ristretto_golden/lenet_quantized_dynamic_fixed_point.prototxt original)
foreach(text ours original)
  string(REGEX MATCHALL "(bw|fl)_[a-z_]+: *-?[0-9]+" ${text} "${${text}}")
endforeach()
list(LENGTH ours count)
if(NOT count EQUAL 24 OR NOT "${ours}" STREQUAL "${original}")
  message(FATAL_ERROR "expected the original's formats\n${original}\nfound\n${ours}")
endif()
tool(0 test --model=golden.prototxt --weights=${published}/data/lenet/lenet_iter_10000.caffemodel
  --data=idx:${published}/data/mnist --ties=away --quiet)
expect("${out}" "accuracy = 0.9624")
