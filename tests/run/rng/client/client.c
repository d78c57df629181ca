/* Looks whether the driver of the entropy device has fed the generator and holds its device. */
#include <stdio.h>

#include <capos/capos.h>

int main(void)
{
	capos_cap_t device = 0, manager = capos_cap("devices");
	uint32_t sources = 0, type = 0, number = 0;

	while (capos_device_manager_type_of(manager, number, &type) == 0 && type != 4)
		number++;
	int64_t status = capos_device_manager_open(manager, number, &device);
	if (capos_entropy_source_status(capos_caps.entropy, &sources) < 0)
		return 1;
	printf("client: the device is %s, its bytes %s\n",
		status == CAPOS_E(BUSY) ? "taken" : "free", sources & 4 ? "count" : "do not count");
	return 0;
}
