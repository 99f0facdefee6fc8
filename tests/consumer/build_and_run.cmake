# cmake -Dwts_DIR=FOLDER -Dwork=FOLDER [-Dbuilt=BUILD] [-Dcompiler=CXX] [-Dstandard=17] -P build_and_run.cmake
# Configures, builds and runs the consumer against the CMake package in wts_DIR, in the folder `work`; with `built`,
# a build tree of this project, that is installed first.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${failed}: ${ARGN}")
  endif()
endfunction()

file(REMOVE_RECURSE "${work}")
if(built)
  run("${CMAKE_COMMAND}" --install "${built}" --prefix "${work}/prefix")
  set(wts_DIR "${work}/prefix/pywts/cmake")
endif()
if(EXISTS "${wts_DIR}/wtsConfigVersion.cmake")  # in the source tree there is none
  set(wanted 0.1)
endif()
set(options "-Dwts_DIR=${wts_DIR}" "-Dwanted=${wanted}" -DCMAKE_BUILD_TYPE=Release)
if(compiler)
  list(APPEND options "-DCMAKE_CXX_COMPILER=${compiler}")
endif()
if(standard)
  list(APPEND options "-DCMAKE_CXX_STANDARD=${standard}")
endif()
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${work}/build" ${options})
run("${CMAKE_COMMAND}" --build "${work}/build" --config Release)
file(GLOB program "${work}/build/consumer" "${work}/build/consumer.exe" "${work}/build/Release/consumer.exe")
run(${program})
