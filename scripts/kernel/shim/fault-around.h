/* Replaces the kernel's function once its address is known; to be called again and again. */
void fault_around(void);
