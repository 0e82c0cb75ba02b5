# netmend against ONNX Runtime (skipped where node or its package onnxruntime-node is absent).
set(data ${NM_SHARED}/data)
set(cifar_norm --mean 0.4914,0.4822,0.4465 --std 0.247,0.2435,0.2616)

# nm_add_oracle(NAME MODEL POINTS [option...]), paths below the shared data
function(nm_add_oracle name model points)
    nm_add_script(oracle.${name} oracle/run.sh onnxruntime.js ${data} $<TARGET_FILE:netmend_cli>
                  ${data}/${model} ${data}/${points} ${ARGN})
endfunction()

nm_add_oracle(moons moons/moons_mlp.onnx moons/x_all.npy --limit 300)
foreach(kind relu hardswish gelu)
    nm_add_oracle(mnist_${kind} aprnn/mnist_${kind}_3_100.onnx mnist/t10k-fog-images-idx3-ubyte.gz
                  --limit 1000)
endforeach()
nm_add_oracle(cifar_alexnet cifar10/alexnet_cifar10.onnx cifar10/test_batch.bin)
foreach(net small_cnn_cifar10 resnet_tiny_cifar10 resnet_tiny_cifar10_folded)
    nm_add_oracle(${net} cifar10/${net}.onnx cifar10/test_batch.bin ${cifar_norm})
endforeach()
nm_add_oracle(cifar_nhwc cifar_verif/onnx/cifar10_small.onnx cifar10/test_batch.bin)
nm_add_script(oracle.repaired oracle/check_repaired.sh $<TARGET_FILE:netmend_cli> ${data})

# The deviations of ONNX Runtime against the bounds on them.
add_executable(deviation ${CMAKE_CURRENT_LIST_DIR}/deviation.c)
target_include_directories(deviation PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_compile_definitions(deviation PRIVATE _GNU_SOURCE)
target_link_libraries(deviation PRIVATE nm_objects nm_flags m)

# nm_add_deviation(NAME MODEL POINTS LIMIT [MEAN STD]), paths below the shared data
function(nm_add_deviation name model points limit)
    nm_add_script(oracle.deviation_${name} oracle/run.sh deviation.js ${data}
                  $<TARGET_FILE:deviation> ${data}/${model} ${data}/${points} ${limit} ${ARGN})
endfunction()

set(cifar_triples 0.4914,0.4822,0.4465 0.247,0.2435,0.2616)
nm_add_deviation(moons moons/moons_mlp.onnx moons/x_all.npy 300)
foreach(kind relu hardswish gelu)
    nm_add_deviation(mnist_${kind} aprnn/mnist_${kind}_3_100.onnx
                     mnist/t10k-fog-images-idx3-ubyte.gz 200)
endforeach()
nm_add_deviation(cifar_alexnet cifar10/alexnet_cifar10.onnx cifar10/test_batch.bin 8)
foreach(net small_cnn_cifar10 resnet_tiny_cifar10 resnet_tiny_cifar10_folded)
    nm_add_deviation(${net} cifar10/${net}.onnx cifar10/test_batch.bin 24 ${cifar_triples})
endforeach()
