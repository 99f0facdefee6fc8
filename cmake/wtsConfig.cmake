# find_package(wts) gives wts::wts: the header wts.hpp, C++17 and threads. `python -m pywts --cmake-dir` prints this folder.
include(CMakeFindDependencyMacro)
find_dependency(Threads)

if(NOT TARGET wts::wts)
  get_filename_component(_wts_include "${CMAKE_CURRENT_LIST_DIR}/../include" ABSOLUTE)
  if(NOT EXISTS "${_wts_include}/wts.hpp")  # in the source tree
    get_filename_component(_wts_include "${CMAKE_CURRENT_LIST_DIR}/../csrc/include" ABSOLUTE)
  endif()
  add_library(wts::wts INTERFACE IMPORTED)
  set_target_properties(wts::wts PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${_wts_include}"
    INTERFACE_COMPILE_FEATURES cxx_std_17
    INTERFACE_LINK_LIBRARIES Threads::Threads)
  unset(_wts_include)
endif()
