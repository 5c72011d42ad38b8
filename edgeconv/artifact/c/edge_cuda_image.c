/* SPDX-License-Identifier: Apache-2.0
 *
 * The code for the GPU at hand: a fat binary, of which the driver takes what fits, or one of several images.
 */
#include "edge_cuda_driver.h"
#include "edge_cuda_model.h"

/* Machine code runs on GPUs of its major number and of no lower minor one; PTX on all that are not older. */
static int fits(const edge_cuda_image *image, uint32_t capability) {
    if (image->capability > capability) return 0;
    return image->ptx || image->capability / 10 == capability / 10;
}

static int better(const edge_cuda_image *image, const edge_cuda_image *than) {
    if (than == NULL || image->ptx != than->ptx) return than == NULL || than->ptx;
    return image->capability > than->capability;
}

cu_result edge_cuda_load(const cu_driver *cu, cu_device device, cu_module *module) {
    const edge_cuda_image *best = NULL;
    int major = 0, minor = 0;
    cu_result result = cu->device_attribute(&major, CU_CAPABILITY_MAJOR, device);
    if (result == CU_SUCCESS) result = cu->device_attribute(&minor, CU_CAPABILITY_MINOR, device);
    if (result != CU_SUCCESS) return result;
    for (uint32_t i = 0; i < edge_this_code.image_count; i++) {
        const edge_cuda_image *image = &edge_this_code.images[i];
        if (image->capability == 0) return cu->module_load(module, image->data);
        if (fits(image, (uint32_t)(10 * major + minor)) && better(image, best)) best = image;
    }
    return best == NULL ? CU_NO_BINARY_FOR_GPU : cu->module_load(module, best->data);
}
